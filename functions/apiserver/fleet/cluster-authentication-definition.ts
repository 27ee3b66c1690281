/** The field of a Cluster that names issuers of its users' tokens, as definitions of custom resources are written. */

const text = (description: string, maxLength: number) => ({ type: 'string', maxLength, description });
const list = (description: string, maxItems: number, items: object) => ({
  type: 'array',
  description,
  maxItems,
  items,
  'x-kubernetes-list-type': 'atomic',
});
const object = (description: string, properties: object) => ({ type: 'object', description, properties });

const claim = text('The claim to use; none where there is an expression.', 256);
const expression = text('An expression (CEL) over the variable claims; none where there is a claim.', 4096);
const prefix = text('Put before the value of the claim; required with a claim, and may be empty.', 256);
const message = text('What is told where the expression is false.', 1024);

const issuer = object('Whose tokens are taken.', {
  url: text('What tokens say as iss, and below which the discovery document is. https only.', 2048),
  discoveryURL: text('Where the discovery document is, instead of below url.', 2048),
  certificateAuthority: text("PEM of the authorities of the issuer's certificate; the system's where absent.", 65_536),
  audiences: list('Whom tokens are meant for: one of these.', 32, text('One of aud.', 1024)),
  audienceMatchPolicy: text('MatchAny; required where there are several audiences.', 32),
});

const jwt = object('One issuer, and what its tokens say about users.', {
  issuer,
  claimValidationRules: list(
    'What claims must be.',
    64,
    object('One rule: a claim with its value, or an expression that is true.', {
      claim,
      requiredValue: text('What the claim must be.', 1024),
      expression,
      message,
    }),
  ),
  claimMappings: object('Which claims say what of a user.', {
    username: object('The name of the user.', { claim, prefix, expression }),
    groups: object('The groups of the user.', { claim, prefix, expression }),
    uid: object('The uid of the user.', { claim, expression }),
    extra: list(
      'Further fields of the user.',
      64,
      object('One of them.', {
        key: text('A domain and a path, in lower case.', 512),
        valueExpression: text('An expression (CEL) over claims that is a text or a list of texts.', 4096),
      }),
    ),
  }),
  userValidationRules: list(
    'What users must be.',
    64,
    object('One rule.', { expression: text('An expression (CEL) over the variable user.', 4096), message }),
  ),
});

/** `spec.authentication`: as AuthenticationConfiguration (apiserver.config.k8s.io/v1) has it. */
export const authentication = object('Who may come in besides those to whom the cluster itself gives credentials.', {
  jwt: list(
    'Issuers, in the fields of an AuthenticationConfiguration. Names in system: are not theirs to give.',
    16,
    jwt,
  ),
});
