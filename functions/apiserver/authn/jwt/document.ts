/**
 * AuthenticationConfiguration (apiserver.config.k8s.io), as KEP-3331 and the API reference have it: read strictly, so that a
 * field that is spelled wrong is told instead of being passed over.
 */

/** A claim, or an expression over all of them. */
export interface ClaimOrExpression {
  claim?: string;
  expression?: string;
}

export interface PrefixedClaimOrExpression extends ClaimOrExpression {
  /** Put before the claim's value; '' puts nothing there. Must be said where `claim` is. */
  prefix?: string;
}

export interface ClaimValidationRule {
  claim?: string;
  requiredValue?: string;
  expression?: string;
  message?: string;
}

/** Whose tokens are taken, and where their keys are found. */
export interface Issuer {
  url?: string;
  /** Where the discovery document is, instead of below `url`. */
  discoveryURL?: string;
  /** PEM of what the issuer's certificate is trusted by; the system's authorities where absent. */
  certificateAuthority?: string;
  audiences?: string[];
  audienceMatchPolicy?: string;
  egressSelectorType?: string;
}

export interface ClaimMappings {
  username?: PrefixedClaimOrExpression;
  groups?: PrefixedClaimOrExpression;
  uid?: ClaimOrExpression;
  extra?: { key?: string; valueExpression?: string }[];
}

/** Issuer, rules and mappings of one kind of token. */
export interface JwtAuthenticator {
  issuer?: Issuer;
  claimValidationRules?: ClaimValidationRule[];
  claimMappings?: ClaimMappings;
  userValidationRules?: { expression?: string; message?: string }[];
}

/** Requests without credentials are system:anonymous, on these paths or, where there are none, on all. */
export interface AnonymousSettings {
  enabled?: boolean;
  conditions?: { path?: string }[];
}

export interface AuthenticationDocument {
  jwt?: JwtAuthenticator[];
  anonymous?: AnonymousSettings;
}

/** What a field holds: a scalar, a list of one thing, or an object of fields. */
type Shape = 'string' | 'boolean' | readonly [Shape] | { readonly [field: string]: Shape };

const prefixed = { claim: 'string', prefix: 'string', expression: 'string' } as const;
const jwt = {
  issuer: {
    url: 'string',
    discoveryURL: 'string',
    certificateAuthority: 'string',
    audiences: ['string'],
    audienceMatchPolicy: 'string',
    egressSelectorType: 'string',
  },
  claimValidationRules: [{ claim: 'string', requiredValue: 'string', expression: 'string', message: 'string' }],
  claimMappings: {
    username: prefixed,
    groups: prefixed,
    uid: { claim: 'string', expression: 'string' },
    extra: [{ key: 'string', valueExpression: 'string' }],
  },
  userValidationRules: [{ expression: 'string', message: 'string' }],
} as const;
const anonymous = { enabled: 'boolean', conditions: [{ path: 'string' }] } as const;

const typeName = (value: unknown): string => (Array.isArray(value) ? 'array' : typeof value);

const checkFields = (
  value: object,
  shape: { readonly [field: string]: Shape },
  path: string,
  unknown: string[],
): void => {
  for (const [name, inner] of Object.entries(value)) {
    const at = path ? `${path}.${name}` : name;
    const known = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (known) check(inner, known, at, unknown);
    else unknown.push(`unknown field "${at}"`);
  }
};

/** Throws for a value of another type; collects fields that are not known. What is null is as if it were not there. */
const check = (value: unknown, shape: Shape, path: string, unknown: string[]): void => {
  if (value === null || value === undefined) return;
  const wanted = typeof shape === 'string' ? shape : Array.isArray(shape) ? 'array' : 'object';
  if (typeName(value) !== wanted) throw new Error(`${path}: must be ${wanted}, not ${typeName(value)}`);
  if (typeof shape === 'string') return;
  if (Array.isArray(shape) && Array.isArray(value)) {
    const [item] = shape as readonly [Shape];
    value.forEach((one, i) => {
      check(one, item, `${path}[${i}]`, unknown);
    });
    return;
  }
  checkFields(value as object, shape as { readonly [field: string]: Shape }, path, unknown);
};

const EMPTY = { string: '', boolean: false } as const;

/** A copy without what is null: in objects it means the same as absent, in lists an empty item. */
const withoutNulls = (value: unknown, shape: Shape): unknown => {
  if (typeof shape === 'string') return value ?? EMPTY[shape];
  if (Array.isArray(value)) return value.map((one) => withoutNulls(one, (shape as readonly [Shape])[0]));
  const fields = shape as { readonly [field: string]: Shape };
  const kept = Object.entries(value ?? {}).filter(([, inner]) => inner !== null && inner !== undefined);
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutNulls(inner, fields[name] ?? 'string')]));
};

const VERSIONS = ['v1', 'v1beta1', 'v1alpha1'];

const read = (value: unknown, shape: { readonly [field: string]: Shape }): AuthenticationDocument => {
  const unknown: string[] = [];
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`must be object, not ${typeName(value)}`);
  checkFields(value, shape, '', unknown);
  if (unknown.length > 0) throw new Error(`strict decoding error: ${unknown.join(', ')}`);
  return withoutNulls(value, shape) as AuthenticationDocument;
};

/** Reads a document of any version. Throws an Error that names the field; what the fields hold is for validate.ts. */
export const readDocument = (value: unknown): AuthenticationDocument => {
  const version = String((value as { apiVersion?: unknown } | null)?.apiVersion).split('/')[1] ?? '';
  if (!VERSIONS.includes(version)) throw new Error(`version "${version}" is not one of ${VERSIONS.join(', ')}`);
  return read(value, { apiVersion: 'string', kind: 'string', jwt: [jwt], anonymous });
};

/** Reads what a Cluster object has in `spec.authentication`: the same without a version. */
export const readTenantDocument = (value: unknown): AuthenticationDocument => read(value, { jwt: [jwt] });
