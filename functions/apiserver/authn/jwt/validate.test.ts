import { describe, expect, it } from 'vitest';
import { selfSigned } from '../../outgoing/https-for-tests.ts';
import { parseAuthentication } from './configuration.ts';
import { type AuthenticationDocument, type JwtAuthenticator, readTenantDocument } from './document.ts';

interface Base {
  apiVersion: string;
  kind: string;
  jwt: [JwtAuthenticator, ...JwtAuthenticator[]];
  anonymous?: AuthenticationDocument['anonymous'];
}

const base = (): Base => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AuthenticationConfiguration',
  jwt: [
    {
      issuer: { url: 'https://issuer.example', audiences: ['a'] },
      claimMappings: { username: { claim: 'sub', prefix: '' } },
    },
  ],
});

/** 'OK', or what is told. */
const told = async (value: unknown): Promise<string> =>
  parseAuthentication(value).then(
    () => 'OK',
    (error: Error) => error.message,
  );
const issuer = (more: object) => {
  const made = base();
  made.jwt[0].issuer = { ...made.jwt[0].issuer, ...more };
  return made;
};
const mappings = (more: object) => {
  const made = base();
  made.jwt[0].claimMappings = { ...made.jwt[0].claimMappings, ...more };
  return made;
};
const rules = (...given: object[]) => {
  const made = base();
  made.jwt[0].claimValidationRules = given;
  return made;
};
const userRules = (...given: object[]) => {
  const made = base();
  made.jwt[0].userValidationRules = given;
  return made;
};
const URL_ = 'jwt[0].issuer.url: Invalid value:';
const VERIFIED =
  'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression';
const email = (expression: string, more: object = {}) => mappings({ username: { expression }, ...more });
const refusedEmail = (expression: string) =>
  `jwt[0].claimMappings.username.expression: Invalid value: ${JSON.stringify(expression)}: ${VERIFIED}`;
const extra = (...given: object[]) => mappings({ extra: given });
const key = (name: string) => extra({ key: name, valueExpression: '"a"' });

// Verdicts and words of Kubernetes 1.36.1, started with each of these.
describe('documents', () => {
  it.each<[string, unknown, string]>([
    ['the least', base(), 'OK'],
    ['v1beta1', { ...base(), apiVersion: 'apiserver.config.k8s.io/v1beta1' }, 'OK'],
    ['v1alpha1', { ...base(), apiVersion: 'apiserver.config.k8s.io/v1alpha1' }, 'OK'],
    [
      'a version to come',
      { ...base(), apiVersion: 'apiserver.config.k8s.io/v2' },
      'version "v2" is not one of v1, v1beta1, v1alpha1',
    ],
    ['no issuers', { ...base(), jwt: undefined }, 'OK'],
    ['an empty list', { ...base(), jwt: [] }, 'OK'],
    [
      'fields spelled wrong',
      { ...base(), jwt: [{ ...base().jwt[0], bar: 1, Issuer: {} }], foo: 1 },
      'strict decoding error: unknown field "jwt[0].bar", unknown field "jwt[0].Issuer", unknown field "foo"',
    ],
    ['a number for a text', issuer({ url: 5 }), 'jwt[0].issuer.url: must be string, not number'],
    ['a text for a list', issuer({ audiences: 'a' }), 'jwt[0].issuer.audiences: must be array, not string'],
    ['an object for a list', { ...base(), jwt: {} }, 'jwt: must be array, not object'],
    ['nothing for an object', [], 'version "" is not one of v1, v1beta1, v1alpha1'],
    [
      'null, which is absent',
      mappings({ username: { claim: 'sub', prefix: null } }),
      'jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing',
    ],
    [
      'too many',
      { ...base(), jwt: Array.from({ length: 65 }, () => base().jwt[0]) },
      'jwt: Too many: 65: must have at most 64 items',
    ],
    [
      'an issuer twice',
      { ...base(), jwt: [base().jwt[0], base().jwt[0]] },
      'jwt[1].issuer.url: Duplicate value: "https://issuer.example"',
    ],
    [
      'anonymous where it is told when',
      { ...base(), anonymous: { enabled: true, conditions: [{ path: '/healthz' }] } },
      'OK',
    ],
    [
      'anonymous off, and told when',
      { ...base(), anonymous: { enabled: false, conditions: [{ path: '/healthz' }] } },
      'anonymous.conditions: Invalid value: [{"Path":"/healthz"}]: enabled should be set to true when conditions are defined',
    ],
  ])('%s', async (_name, document, expected) => {
    expect(await told(document)).toBe(expected);
  });

  it('of tenants have issuers only', () => {
    expect(readTenantDocument({ jwt: base().jwt })).toEqual({ jwt: base().jwt });
    expect(() => readTenantDocument({ anonymous: { enabled: true } })).toThrow('unknown field "anonymous"');
  });
});

describe('issuers', () => {
  it.each<[string, object, string]>([
    ['no url', { url: undefined }, 'jwt[0].issuer.url: Required value'],
    ['http', { url: 'http://i' }, `${URL_} "http://i": URL scheme must be https`],
    ['no scheme', { url: 'issuer.example' }, `${URL_} "issuer.example": URL scheme must be https`],
    ['a user', { url: 'https://u:p@i' }, `${URL_} "https://u:p@i": URL must not contain a username or password`],
    ['a query', { url: 'https://i?a=b' }, `${URL_} "https://i?a=b": URL must not contain a query`],
    ['an empty query', { url: 'https://i?' }, 'OK'],
    ['a fragment', { url: 'https://i#x' }, `${URL_} "https://i#x": URL must not contain a fragment`],
    ['half an address', { url: 'https://[::1' }, `${URL_} "https://[::1": parse "https://[::1": missing ']' in host`],
    [
      'a blank',
      { url: 'https://a b' },
      `${URL_} "https://a b": parse "https://a b": invalid character " " in host name`,
    ],
    ['no protocol', { url: ':foo' }, `${URL_} ":foo": parse ":foo": missing protocol scheme`],
    ['a bad escape', { url: 'https://a%zz' }, `${URL_} "https://a%zz": parse "https://a%zz": invalid URL escape "%zz"`],
    [
      'a bad escape in the path',
      { url: 'https://a/%zz' },
      `${URL_} "https://a/%zz": parse "https://a/%zz": invalid URL escape "%zz"`,
    ],
    [
      'a bad port',
      { url: 'https://a:xx' },
      `${URL_} "https://a:xx": parse "https://a:xx": invalid port ":xx" after host`,
    ],
    [
      'a control character',
      { url: 'https://a\u0001b' },
      expect.stringContaining('net/url: invalid control character in URL'),
    ],
    [
      'that of service accounts',
      { url: 'https://kubernetes.default.svc.cluster.local' },
      `${URL_} "https://kubernetes.default.svc.cluster.local": URL must not overlap with disallowed issuers: [https://kubernetes.default.svc.cluster.local]`,
    ],
    [
      "that of a tenant's service accounts",
      { url: 'https://kubernetes.default.svc.cluster.local/clusters/a' },
      expect.stringContaining('URL must not overlap with disallowed issuers'),
    ],
    [
      'discovered at itself',
      { discoveryURL: 'https://issuer.example/' },
      'jwt[0].issuer.discoveryURL: Invalid value: "https://issuer.example/": discoveryURL must be different from URL',
    ],
    ['discovered elsewhere', { discoveryURL: 'https://other.example/x' }, 'OK'],
    [
      'no audience',
      { audiences: [] },
      'jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required',
    ],
    [
      'empty audiences, twice',
      { audiences: ['', 'a', 'a'], audienceMatchPolicy: 'MatchAny' },
      'jwt[0].issuer.audiences[0]: Required value, jwt[0].issuer.audiences[2]: Duplicate value: "a"',
    ],
    [
      'several audiences',
      { audiences: ['a', 'b'] },
      'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences',
    ],
    ['any of several', { audiences: ['a', 'b'], audienceMatchPolicy: 'MatchAny' }, 'OK'],
    [
      'another policy',
      { audienceMatchPolicy: 'MatchAll' },
      'jwt[0].issuer.audienceMatchPolicy: Invalid value: "MatchAll": audienceMatchPolicy must be empty or MatchAny for single audience',
    ],
    [
      'no authority',
      { certificateAuthority: 'nope' },
      'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid RSA or ECDSA certificates',
    ],
    [
      'a broken authority',
      { certificateAuthority: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
      'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": x509: malformed certificate',
    ],
    [
      'an egress selector that there is not',
      { egressSelectorType: 'etcd' },
      'jwt[0].issuer.egressSelectorType: Invalid value: "etcd": egress selector must be either controlplane or cluster',
    ],
    [
      'an egress selector, of which we have none',
      { egressSelectorType: 'cluster' },
      'jwt[0].issuer.egressSelectorType: Forbidden: there is no egress selector for "cluster" here',
    ],
  ])('%s', async (_name, more, expected) => {
    expect(await told(issuer(more))).toEqual(expected);
  });

  it('with authorities', async () => {
    expect(await told(issuer({ certificateAuthority: (await selfSigned()).cert }))).toBe('OK');
  });
});

describe('rules and mappings', () => {
  const at = 'jwt[0].claimValidationRules[0]';
  const m = 'jwt[0].claimMappings';
  it.each<[string, unknown, string]>([
    ['an empty rule', rules({}), `${at}: Required value: claim or expression is required`],
    [
      'both',
      rules({ claim: 'x', expression: 'true' }),
      `${at}: Invalid value: "x": claim and expression can't both be set`,
    ],
    [
      'a message of a claim, and a claim twice',
      rules({ claim: 'x', message: 'm' }, { claim: 'x' }),
      `${at}.message: Invalid value: "m": may not be specified when claim is set, jwt[0].claimValidationRules[1].claim: Duplicate value: "x"`,
    ],
    [
      'a value of an expression, and one twice',
      rules({ expression: 'true', requiredValue: 'm' }, { expression: 'true' }),
      `${at}.requiredValue: Invalid value: "m": may not be specified when expression is set, jwt[0].claimValidationRules[1].expression: Duplicate value: "true"`,
    ],
    ['no bool', rules({ expression: '"a"' }), `${at}.expression: Invalid value: "\\"a\\"": must evaluate to bool`],
    [
      'perhaps a bool',
      rules({ expression: 'claims.foo' }),
      `${at}.expression: Invalid value: "claims.foo": must evaluate to bool`,
    ],
    ['a comparison', rules({ expression: 'claims.foo == 1' }), 'OK'],
    [
      'a variable of users',
      rules({ expression: 'user.username == "a"' }),
      `${at}.expression: Invalid value: "user.username == \\"a\\"": compilation failed: ERROR: <input>:1:1: undeclared reference to 'user' (in container '')\n | user.username == "a"\n | ^`,
    ],
    [
      'no syntax',
      rules({ expression: 'claims.foo ==' }),
      expect.stringContaining('compilation failed: ERROR: <input>:1:14: Syntax error'),
    ],
    [
      'a loop over a claim',
      rules({ expression: 'claims.roles.exists(r, r == "a")' }),
      `${at}.expression: Invalid value: "claims.roles.exists(r, r == \\"a\\")": compilation failed: ERROR: <input>:1:7: expression of type 'any' cannot be range of a comprehension (must be list, map, or dynamic)\n | claims.roles.exists(r, r == "a")\n | ......^`,
    ],
    ['a loop over what a claim may be', rules({ expression: 'dyn(claims.roles).exists(r, r == "a")' }), 'OK'],
    [
      'no user name',
      mappings({ username: undefined }),
      `${m}.username: Required value: claim or expression is required`,
    ],
    [
      'no mappings',
      { ...base(), jwt: [{ issuer: base().jwt[0].issuer }] },
      `${m}.username: Required value: claim or expression is required`,
    ],
    [
      'claim and expression',
      mappings({ username: { claim: 'a', expression: 'claims.a' } }),
      `${m}.username: Invalid value: "": claim and expression can't both be set`,
    ],
    [
      'a prefix of an expression',
      mappings({ username: { prefix: 'a', expression: 'claims.a' } }),
      `${m}.username.prefix: Invalid value: "a": may not be specified when expression is set`,
    ],
    [
      'a prefix alone',
      mappings({ username: { prefix: 'a' } }),
      `${m}.username: Required value: claim or expression is required`,
    ],
    ['a number, which is told with each token', mappings({ username: { expression: '1' } }), 'OK'],
    [
      'groups without a prefix',
      mappings({ groups: { claim: 'a' } }),
      `${m}.groups.prefix: Required value: prefix is required when claim is set. It can be set to an empty string to disable prefixing`,
    ],
    ['a prefix of groups alone', mappings({ groups: { prefix: 'a' } }), 'OK'],
    [
      'uid twice',
      mappings({ uid: { claim: 'a', expression: 'claims.a' } }),
      `${m}.uid: Invalid value: "": claim and expression can't both be set`,
    ],
    ['an extra field', key('e.org/a'), 'OK'],
    ['without a key', key(''), `${m}.extra[0].key: Required value`],
    [
      'without a domain',
      key('foo'),
      `${m}.extra[0].key: Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")`,
    ],
    [
      'without a path',
      key('e.org/'),
      `${m}.extra[0].key: Invalid value: "e.org/": must be a domain-prefixed path (such as "acme.io/foo")`,
    ],
    ['in upper case', key('e.org/Foo'), `${m}.extra[0].key: Invalid value: "e.org/Foo": must be lowercase`],
    [
      'with a blank',
      key('e.org/f oo'),
      `${m}.extra[0].key: Invalid value: "f oo": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')`,
    ],
    [
      'that is reserved',
      key('x.kubernetes.io/a'),
      `${m}.extra[0].key: Invalid value: "x.kubernetes.io/a": k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use`,
    ],
    [
      'a key twice',
      extra({ key: 'e.org/a', valueExpression: '"a"' }, { key: 'e.org/a', valueExpression: '"b"' }),
      `${m}.extra[1].key: Duplicate value: "e.org/a"`,
    ],
    ['without a value', extra({ key: 'e.org/a' }), `${m}.extra[0].valueExpression: Required value`],
    ['a rule about users', userRules({ expression: "!user.username.startsWith('system:')" }), 'OK'],
    [
      'about all they are',
      userRules({ expression: "user.extra['a'].size() > 0 && user.uid != '' && 'g' in user.groups" }),
      'OK',
    ],
    ['without an expression', userRules({ message: 'x' }), 'jwt[0].userValidationRules[0].expression: Required value'],
    [
      'twice',
      userRules({ expression: 'true' }, { expression: 'true' }),
      'jwt[0].userValidationRules[1].expression: Duplicate value: "true"',
    ],
    [
      'about a field that there is not',
      userRules({ expression: 'user.foo == "x"' }),
      'jwt[0].userValidationRules[0].expression: Invalid value: "user.foo == \\"x\\"": compilation failed: ERROR: <input>:1:5: undefined field \'foo\'\n | user.foo == "x"\n | ....^',
    ],
    [
      'of no bool',
      userRules({ expression: 'user.username' }),
      'jwt[0].userValidationRules[0].expression: Invalid value: "user.username": must evaluate to bool',
    ],
  ])('%s', async (_name, document, expected) => {
    expect(await told(document)).toEqual(expected);
  });
});

describe('an address that names a user has to be looked at for being verified', () => {
  it.each([
    'claims.email',
    'claims.?email.orValue("x")',
    '["a"].map(x, claims.email)[0]',
    'has(claims.email) ? "a" : "b"',
    'claims.email.foo',
  ])('%s', async (expression) => {
    expect(await told(email(expression))).toBe(refusedEmail(expression));
  });

  it.each<[string, unknown]>([
    ['in itself', email('claims.email_verified ? claims.email : claims.sub')],
    [
      'by a rule',
      {
        ...email('claims.email'),
        jwt: [
          {
            ...email('claims.email').jwt[0],
            ...rules({ expression: 'claims.?email_verified.orValue(true) == true' }).jwt[0],
            claimMappings: email('claims.email').jwt[0].claimMappings,
          },
        ],
      },
    ],
    [
      'by an extra field',
      email('claims.email', { extra: [{ key: 'e.org/a', valueExpression: 'string(claims.email_verified)' }] }),
    ],
    ['not where another field is called so', email('claims.foo.email')],
    ['nor where it is a key', email('claims["email"]')],
  ])('%s', async (_name, document) => {
    expect(await told(document)).toBe('OK');
  });

  it('groups are no place for it', async () => {
    const groups = { groups: { expression: 'string(claims.email_verified)' } };
    expect(await told(email('claims.email', groups))).toBe(refusedEmail('claims.email'));
  });
});
