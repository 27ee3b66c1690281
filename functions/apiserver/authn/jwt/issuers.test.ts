import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuthenticationDocument, JwtAuthenticator } from './document.ts';
import { signingKey, startIssuer, type TestIssuer } from './issuer-for-tests.ts';
import { createIssuers, type Issuers } from './issuers.ts';

let issuer: TestIssuer;
beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(() => issuer.server.close());

const clock = { now: () => Date.now() };
const seconds = () => Math.floor(Date.now() / 1000);
const sub = { username: { claim: 'sub', prefix: '' } };

/** An issuer of its own per mapping. */
const authenticator = (path: string, more: Omit<JwtAuthenticator, 'issuer'> & { issuer?: object } = {}) => ({
  claimMappings: sub,
  ...more,
  issuer: { url: `${issuer.url}/${path}`, certificateAuthority: issuer.server.cert, audiences: ['a'], ...more.issuer },
});
const of = (...jwt: JwtAuthenticator[]): AuthenticationDocument => ({ jwt });
const open = (document: AuthenticationDocument, cluster = 'default'): Promise<Issuers> =>
  createIssuers(document, { cluster, clock });

/** The user without what is empty, 401 with the reason, or nothing where it is nobody's. */
const verdict = async (issuers: Issuers, token: string): Promise<unknown> => {
  const found = await issuers.verify(token);
  if (found === undefined) return 'unknown';
  if ('fault' in found) return found.fault;
  const { username, uid, groups, extra } = found.user;
  const rest = groups.filter((group) => group !== 'system:authenticated');
  return {
    username,
    ...(uid && { uid }),
    ...(rest.length && { groups: rest }),
    ...(Object.keys(extra).length && { extra }),
  };
};
const ada = { username: 'ada' };
const REFUSED = expect.any(String);

/** Claims against one authenticator. What Kubernetes 1.36.1 answered is expected, but where the name says otherwise. */
const table = (
  path: string,
  more: () => Omit<JwtAuthenticator, 'issuer'> & { issuer?: object },
  rows: [string, object | (() => object), unknown][],
): void => {
  it.each(rows)('%s', async (_name, claims, expected) => {
    const issuers = await open(of(authenticator(path, more())));
    const given = typeof claims === 'function' ? (claims as () => object)() : claims;
    expect(await verdict(issuers, issuer.token({ iss: `${issuer.url}/${path}`, ...given }))).toEqual(expected);
  });
};

describe('times, audiences and names', () => {
  table('plain', () => ({}), [
    ['a token', {}, ada],
    ['of a second ago', () => ({ exp: seconds() - 1 }), 'oidc: verify token: oidc: token is expired'],
    ['without an end', { exp: undefined }, REFUSED],
    ['that ends at null', { exp: null }, REFUSED],
    ['that ends at a list', { exp: [9e9] }, REFUSED],
    ['that ends as a text', () => ({ exp: String(seconds() + 99) }), ada],
    ['that ends within a second', () => ({ exp: seconds() + 99.5 }), ada],
    ['that never ends', { exp: 1e300 }, REFUSED],
    ['that begins in 30 s', () => ({ nbf: seconds() + 30 }), ada],
    ['that begins in 90 s', () => ({ nbf: seconds() + 90 }), REFUSED],
    ['that begins at null', { nbf: null }, ada],
    ['that begins some time', { nbf: 'x' }, REFUSED],
    ['that will be made', () => ({ iat: seconds() + 9000 }), ada],
    ['for one audience', { aud: 'a' }, ada],
    ['for others too', { aud: ['b', 'a'] }, ada],
    ['for others', { aud: ['b'] }, 'oidc: verify token: oidc: expected audience "a" got ["b"]'],
    ['for nobody', { aud: [] }, REFUSED],
    ['for a number', { aud: 1 }, REFUSED],
    ['for a number too', { aud: ['a', 1] }, REFUSED],
    ['without an audience', { aud: undefined }, REFUSED],
    ['of a number', { sub: 1 }, REFUSED],
    ['of a list', { sub: ['ada'] }, REFUSED],
    ['of nobody', { sub: undefined }, REFUSED],
    ['of an empty name, which upstream takes', { sub: '' }, 'oidc: empty username is not allowed'],
    ['of null, which upstream takes for an empty name', { sub: null }, 'oidc: empty username is not allowed'],
    ['of any text', { sub: 'añ "x" \n' }, { username: 'añ "x" \n' }],
    ['with an id', { jti: 'J' }, { ...ada, extra: { 'authentication.kubernetes.io/credential-id': ['JTI=J'] } }],
    ['with an id that is none', { jti: 4 }, ada],
    ['with an empty id', { jti: '' }, ada],
  ]);

  it('another issuer is not asked', async () => {
    const issuers = await open(of(authenticator('plain')));
    for (const iss of ['https://other.example', `${issuer.url}/plain/`, issuer.url, '', undefined, 5])
      expect(await verdict(issuers, issuer.token({ iss }))).toBe('unknown');
  });
});

describe('claims as they are', () => {
  const groups = { claimMappings: { ...sub, groups: { claim: 'groups', prefix: 'g:' } } };
  table('groups', () => groups, [
    ['no groups', {}, ada],
    ['one', { groups: 'x' }, { ...ada, groups: ['g:x'] }],
    ['some, twice', { groups: ['x', 'y', 'x'] }, { ...ada, groups: ['g:x', 'g:y', 'g:x'] }],
    ['null', { groups: null }, ada],
    ['null among them', { groups: ['x', null] }, { ...ada, groups: ['g:x', 'g:'] }],
    ['an empty one', { groups: '' }, { ...ada, groups: ['g:'] }],
    ['a number', { groups: 5 }, REFUSED],
    ['numbers', { groups: [1] }, REFUSED],
    ['an object', { groups: {} }, REFUSED],
    ['a bool', { groups: true }, REFUSED],
  ]);
  table('uid', () => ({ claimMappings: { username: { claim: 'sub', prefix: 'p:' }, uid: { claim: 'uid' } } }), [
    ['a prefix and a uid', { uid: 'U' }, { username: 'p:ada', uid: 'U' }],
    ['a prefix alone', { uid: 'U', sub: '' }, { username: 'p:', uid: 'U' }],
    ['no uid', {}, REFUSED],
    ['a number', { uid: 5 }, REFUSED],
    ['null', { uid: null }, { username: 'p:ada' }],
  ]);
  table('email', () => ({ claimMappings: { username: { claim: 'email', prefix: '' } } }), [
    ['nothing said of it', { email: 'x@y' }, { username: 'x@y' }],
    ['verified', { email: 'x@y', email_verified: true }, { username: 'x@y' }],
    ['not verified', { email: 'x@y', email_verified: false }, 'oidc: email not verified'],
    ['null', { email: 'x@y', email_verified: null }, 'oidc: email not verified'],
    ['a text', { email: 'x@y', email_verified: 'true' }, REFUSED],
    ['no address', {}, REFUSED],
  ]);
  const required = [{ claim: 'hd', requiredValue: 'x' }, { claim: 'empty' }];
  table('required', () => ({ claimValidationRules: required }), [
    ['what is required', { hd: 'x', empty: '' }, ada],
    ['null for an empty one', { hd: 'x', empty: null }, ada],
    ['another value', { hd: 'y', empty: '' }, 'oidc: required claim hd value does not match. Got = y, want = x'],
    ['none', { hd: 'x' }, 'oidc: required claim empty not present in ID token'],
    ['a list', { hd: ['x'], empty: '' }, REFUSED],
  ]);
});

describe('expressions', () => {
  const expressions = {
    username: { expression: 'claims.name' },
    groups: { expression: 'claims.?groups.orValue([])' },
    uid: { expression: 'claims.?uid.orValue("")' },
    extra: [{ key: 'e.org/a', valueExpression: 'claims.?a.orValue(null)' }],
  };
  const n = { username: 'n' };
  table('expressions', () => ({ claimMappings: expressions }), [
    [
      'all there is',
      { name: 'n', groups: ['x'], uid: 'u', a: 'v' },
      { ...n, uid: 'u', groups: ['x'], extra: { 'e.org/a': ['v'] } },
    ],
    ['nothing but a name', { name: 'n' }, n],
    ['no name', {}, REFUSED],
    ['an empty name', { name: '' }, 'oidc: empty username via CEL expression is not allowed'],
    [
      'a number',
      { name: 5 },
      'oidc: error evaluating username claim expression: username claim expression must return a string',
    ],
    ['one group', { name: 'n', groups: 'x' }, { ...n, groups: ['x'] }],
    ['empty ones left out', { name: 'n', groups: ['x', ''] }, { ...n, groups: ['x'] }],
    ['no group', { name: 'n', groups: '' }, n],
    ['null', { name: 'n', groups: null }, n],
    ['null among them', { name: 'n', groups: ['x', null] }, REFUSED],
    ['a number of groups', { name: 'n', groups: 5 }, REFUSED],
    ['lists of them', { name: 'n', groups: [['x']] }, REFUSED],
    ['a uid of no text', { name: 'n', uid: null }, REFUSED],
    ['extra values', { name: 'n', a: ['v', 'w'] }, { ...n, extra: { 'e.org/a': ['v', 'w'] } }],
    ['no extra value', { name: 'n', a: [] }, n],
    ['extra values of no text', { name: 'n', a: 5 }, REFUSED],
  ]);
  const claimValidationRules = [
    { expression: 'claims.n == 1', message: 'm' },
    { expression: 'claims.nested.a__dot__b == "x" && claims["plain__dash__key"] == "y"' },
  ];
  table('claim-rules', () => ({ claimValidationRules }), [
    ['numbers are numbers, names are unescaped', { n: 1, nested: { 'a.b': 'x' }, 'plain-key': 'y' }, ada],
    ['a literal name does not stand for itself', { n: 1, nested: { a__dot__b: 'x' }, 'plain-key': 'y' }, REFUSED],
    [
      'a text is no number',
      { n: '1' },
      "oidc: error evaluating claim validation expression: validation expression 'claims.n == 1' failed: m",
    ],
    [
      'what is missing',
      {},
      "oidc: error evaluating claim validation expression: expression 'claims.n == 1' resulted in error: no such key: n",
    ],
  ]);
  const userValidationRules = [
    { expression: "!user.username.startsWith('system:')", message: 'no system' },
    { expression: "user.groups.all(g, !g.startsWith('system:'))" },
    { expression: 'user.uid == "" && size(user.extra) < 5' },
  ];
  const user = { claimMappings: { ...sub, groups: { claim: 'groups', prefix: '' } }, userValidationRules };
  table('user-rules', () => user, [
    ['a user', { groups: ['x'] }, { ...ada, groups: ['x'] }],
    ['no groups', {}, ada],
    ['a name', { sub: 'system:admin' }, expect.stringContaining('failed: no system')],
    ['a group', { groups: ['system:masters'] }, REFUSED],
  ]);
  const types = {
    username: {
      expression: '[type(claims.i) == double, type(claims.z) == null_type, claims.i > 0].map(x, string(x)).join()',
    },
  };
  table('types', () => ({ claimMappings: types }), [
    ['numbers are double', { i: 1, z: null }, { username: 'truetruetrue' }],
  ]);
  const deep = 'claims.?deep.x.orValue("none")';
  table('optional', () => ({ claimMappings: { username: { expression: deep } } }), [
    ['optional and there', { deep: { x: 'y' } }, { username: 'y' }],
    ['optional and not', {}, { username: 'none' }],
  ]);
  it('that cost too much are stopped', async () => {
    const loop = 'dyn(claims.l).all(a, dyn(claims.l).all(b, dyn(claims.l).all(c, a + b + c != "z")))';
    const issuers = await open(of(authenticator('cost', { claimValidationRules: [{ expression: loop }] })));
    const l = Array.from({ length: 500 }, () => 'x'.repeat(20));
    const began = performance.now();
    expect(await verdict(issuers, issuer.token({ iss: `${issuer.url}/cost`, l }))).toContain('cost limit exceeded');
    expect(performance.now() - began).toBeLessThan(5_000);
  });
  it('that cost too much together are stopped, each of which might run', async () => {
    const rules = (count: number) =>
      Array.from({ length: count }, (_, i) => ({
        expression: `dyn(claims.l).all(a, dyn(claims.l).all(b, a + b != "${i}"))`,
      }));
    const iss = `${issuer.url}/cost`;
    const l = Array.from({ length: 200 }, () => 'x');
    const one = await open(of(authenticator('cost', { claimValidationRules: rules(1) })));
    expect(await verdict(one, issuer.token({ iss, l }))).toHaveProperty('username');
    const many = await open(of(authenticator('cost', { claimValidationRules: rules(40) })));
    expect(await verdict(many, issuer.token({ iss, l }))).toContain('cost limit exceeded');
  });
});

describe('signatures', () => {
  const all = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
  it.each(all)('%s', async (alg) => {
    const key = signingKey(alg, alg);
    const own = await startIssuer();
    own.keys = [signingKey('other', 'ES256'), key];
    const issuers = await open(
      of({ ...authenticator(''), issuer: { url: own.url, certificateAuthority: own.server.cert, audiences: ['a'] } }),
    );
    expect(await verdict(issuers, own.token({}, key))).toEqual(ada);
    // Another algorithm for the same key, and another key of the same name.
    const [kind, size] = [alg.slice(0, 2), alg.slice(2)];
    const swapped = kind === 'ES' ? 'RS256' : `${kind === 'RS' ? 'PS' : 'RS'}${size}`;
    expect(await verdict(issuers, own.token({}, key, { alg: swapped }))).toEqual(REFUSED);
    expect(await verdict(issuers, own.token({}, signingKey(alg, alg)))).toEqual(REFUSED);
    await own.server.close();
  });

  it('what is no token, or signed by nobody', async () => {
    const issuers = await open(of(authenticator('plain')));
    const iss = `${issuer.url}/plain`;
    const [head = '', body = '', signature = ''] = issuer.token({ iss }).split('.');
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    expect(await verdict(issuers, `${head}.${body}.${signature}`)).toEqual(ada);
    const eve = encode({ iss, aud: 'a', exp: seconds() + 99, sub: 'eve' });
    for (const token of [
      `${head}.${eve}.${signature}`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${head}.${body}.${signature}.`,
      `${head}.${body}.${signature.slice(0, -2)}`,
      `${head}.${body}.${signature}=`,
      `${head}.${body}.${'A'.repeat(signature.length)}`,
      `.${body}.${signature}`,
      `${encode({ alg: 'none' })}.${body}.`,
      `${encode({ alg: 'HS256', kid: 'k1' })}.${body}.${signature}`,
      `${encode({ alg: 'ES256', kid: ['k1'] })}.${body}.${signature}`,
      `${encode({ kid: 'k1' })}.${body}.${signature}`,
      'a.b.c',
      '{"payload":"x"}',
      '',
    ])
      expect(await issuers.verify(token).then((found) => found && 'user' in found), token).toBeFalsy();
    for (const header of [{ crit: ['exp'] }, { crit: [] }, { b64: false }])
      expect(await verdict(issuers, issuer.token({ iss }, undefined, header))).toEqual(REFUSED);
    expect(await verdict(issuers, issuer.token({ iss, long: 'x'.repeat(64 << 10) }))).toBe('unknown');
  });
});

describe('names of the control plane', () => {
  const document = () =>
    of(authenticator('system', { claimMappings: { ...sub, groups: { claim: 'groups', prefix: '' } } }));
  const token = (claims: object) => issuer.token({ iss: `${issuer.url}/system`, ...claims });

  it('are for the rules of the owner of the deployment, as upstream has it', async () => {
    const issuers = await open(document());
    const found = await issuers.verify(token({ sub: 'system:kube-scheduler', groups: ['system:masters'] }));
    expect(found).toMatchObject({
      user: { username: 'system:kube-scheduler', groups: ['system:masters', 'system:authenticated'] },
    });
    const stranger = await issuers.verify(token({ sub: 'system:anonymous' }));
    expect(stranger).toMatchObject({ user: { username: 'system:anonymous', groups: [] } });
  });

  it('are not given by the issuers of tenants, which are near here and so not even read', async () => {
    const issuers = await open(document(), 'tenant');
    expect(await verdict(issuers, token({}))).toContain('the address is not one that this cluster may reach');
  });
});

describe('claims that are elsewhere', () => {
  const document = () =>
    of(authenticator('far', { claimMappings: { ...sub, groups: { claim: 'groups', prefix: '' } } }));
  const named = (path: string, more: object = {}) =>
    issuer.token({
      iss: `${issuer.url}/far`,
      _claim_names: { groups: 's' },
      _claim_sources: { s: { endpoint: `${issuer.url}/${path}` } },
      ...more,
    });
  const answer = (path: string, claims: object) =>
    issuer.instead.set(`/${path}`, (response) => {
      response.end(issuer.token({ iss: `${issuer.url}/source`, ...claims }));
    });

  it.each<[string, object, unknown]>([
    ['good', { groups: ['far'] }, { ...ada, groups: ['far'] }],
    ['ended', { groups: ['far'], exp: 5 }, REFUSED],
    ['for-others', { groups: ['far'], aud: 'z' }, REFUSED],
    ['without', {}, REFUSED],
    ['of-no-issuer', { groups: ['far'], iss: undefined }, REFUSED],
    ['of-a-dead-issuer', { groups: ['far'], iss: 'https://127.0.0.1:1' }, REFUSED],
  ])('%s', async (path, claims, expected) => {
    answer(path, claims);
    expect(await verdict(await open(document()), named(path))).toEqual(expected);
  });

  it('are not asked for where they are there, not named, or nowhere', async () => {
    const issuers = await open(document());
    expect(await verdict(issuers, named('never', { groups: 'near' }))).toEqual({ ...ada, groups: ['near'] });
    expect(await verdict(issuers, named('never', { _claim_names: { other: 's' } }))).toEqual(ada);
    expect(await verdict(issuers, named('never', { _claim_sources: { s: { JWT: 'x' } } }))).toEqual(ada);
    expect(await verdict(issuers, named('never', { _claim_sources: {} }))).toEqual(REFUSED);
    expect(await verdict(issuers, named('never', { _claim_sources: undefined }))).toEqual(REFUSED);
    expect(issuer.asked.get('/never')).toBeUndefined();
  });
});

describe('any claims at all', () => {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
  const pick = <T>(...from: T[]): T => from[random(from.length)] as T;
  const value = (depth = 0): unknown => {
    const kind = random(depth > 2 ? 6 : 8);
    if (kind === 0) return pick('', 'a', 'system:masters', 'system:node:x', '__proto__', 'ñ\u0000', 'x'.repeat(300));
    if (kind === 1) return pick(0, -1, 1.5, 1e21, seconds() + 50, seconds() - 50, Number.MAX_SAFE_INTEGER);
    if (kind === 2) return pick(true, false);
    if (kind === 3) return null;
    if (kind < 6) return pick('ada', 'a', 'b');
    if (kind === 6) return Array.from({ length: random(4) }, () => value(depth + 1));
    return Object.fromEntries(
      Array.from({ length: random(4) }, () => [pick('a', 'b.c', '__proto__', ''), value(depth + 1)]),
    );
  };

  it(`never throw, and let in only whom the rules let in (SEED=${seed})`, async () => {
    const expression = "claims.?role.orValue('') == 'ops' || claims.?n.orValue(0) == 1.0";
    const claimMappings = {
      ...sub,
      groups: { expression: 'claims.?groups.orValue([])' },
      uid: { expression: 'claims.?uid.orValue("")' },
    };
    const issuers = await open(of(authenticator('random', { claimMappings, claimValidationRules: [{ expression }] })));
    let users = 0;
    for (let i = 0; i < 800; i++) {
      const claims: Record<string, unknown> = { iss: `${issuer.url}/random`, role: pick('ops', 'ops', value()) };
      for (const name of ['sub', 'aud', 'exp', 'nbf', 'groups', 'uid', 'n', 'jti', '_claim_names', 'x'])
        if (random(4) === 0) claims[name] = value();
      const found = await issuers.verify(issuer.token(claims));
      if (found === undefined || 'fault' in found) continue;
      users++;
      const whole: Record<string, unknown> = { sub: 'ada', aud: ['a'], ...claims };
      expect(found.user.username).toBe(whole.sub);
      expect([whole.aud].flat()).toContain('a');
      expect(whole.role === 'ops' || whole.n === 1).toBe(true);
      expect(found.user.groups.every((group) => typeof group === 'string' && group !== '')).toBe(true);
    }
    expect(users).toBeGreaterThan(20);
  });
});
