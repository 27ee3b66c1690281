import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createStored } from '../authz/stored-for-tests.ts';
import { createBoundObjects } from './bound-objects.ts';
import { serviceAccountTokens, type TokenClaims } from './service-account-tokens.ts';
import { keyIdOf, type SigningKey, withNewKey } from './signing-keys.ts';
import { createTokenAuthority } from './token-authority.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let state = seed;
/** A whole number below `below` (mulberry32): a failure is made again with SEED. */
const random = (below: number): number => {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
};
const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
const word = (): string =>
  Array.from({ length: 1 + random(12) }, () => pick([...'abcdefghijklmnopqrstuvwxyz0123456789'])).join('');

const START = Date.parse('2026-01-01T00:00:00Z');
const seconds = START / 1000;
const issuer = 'https://kubernetes.default.svc.cluster.local';
let now = START;
const clock = { ...createSystemClock(), now: () => now };
const keys = withNewKey(withNewKey([], START, 0), START, 0);
const [key] = keys as [SigningKey, SigningKey];
const authority = createTokenAuthority({ keyPem: keys, issuer, clock, uidOf: (cluster) => `uid-${cluster}` });
const tokens = serviceAccountTokens(authority);

const b64 = (value: string | Buffer): string => Buffer.from(value).toString('base64url');
const clusters = ['default', 'team-a', 'team-b'];
const randomClaims = (): TokenClaims => ({
  namespace: word(),
  serviceAccount: { name: word(), uid: word() },
  audiences: [issuer, ...(random(2) ? [word()] : [])],
  issuedAt: seconds - random(1000),
  expiresAt: seconds + 1 + random(100_000),
  ...(random(2) && { bound: { kind: pick(['Pod', 'Secret', 'Node']), name: word(), uid: word() } }),
  id: word(),
});
/** A token of any kind that we make, and whether it lets in. */
const randomToken = async (cluster: string): Promise<string> => {
  const kind = random(4);
  if (kind === 0) return authority.mintNodeToken(cluster, word(), 1 + random(1000), random(2) ? word() : undefined);
  if (kind === 1) return authority.mintAdminToken(cluster, 1 + random(1000));
  return authority.sign(cluster, randomClaims());
};
const letsIn = async (cluster: string, token: string): Promise<boolean> => {
  const found = await Promise.all([
    tokens.authenticate(cluster, token, {}),
    authority.nodeTokens.authenticate(cluster, token, {}),
    authority.adminTokens.authenticate(cluster, token, {}),
  ]);
  return found.some(Boolean);
};
const headOf = (pem = key.pem): Record<string, unknown> => ({ alg: 'ES256', kid: keyIdOf({ pem }) });
const ecdsa = (text: string, pem = key.pem, dsaEncoding: 'ieee-p1363' | 'der' = 'ieee-p1363'): Buffer =>
  signBytes('sha256', Buffer.from(text), { key: createPrivateKey(pem), dsaEncoding });
const publicPem = createPublicKey(createPrivateKey(key.pem)).export({ type: 'spki', format: 'pem' }).toString();
const body = (more: object = {}): string =>
  JSON.stringify({
    exp: seconds + 600,
    iat: seconds,
    nbf: seconds,
    aud: [issuer],
    iss: issuer,
    jti: 'id',
    sub: 'skiff:admin',
    'skiff.dev/cluster': 'uid-default',
    ...more,
  });
/** A token with any head and payload, rightly signed. */
const signed = (
  head: string | object,
  payload: string,
  sign: (text: string) => Buffer | string = (text) => ecdsa(text),
) => {
  const text = `${b64(typeof head === 'string' ? head : JSON.stringify(head))}.${b64(payload)}`;
  const signature = sign(text);
  return `${text}.${typeof signature === 'string' ? signature : signature.toString('base64url')}`;
};

describe(`tokens that were tampered with (SEED=${seed})`, () => {
  it('let in as they are', async () => {
    for (let i = 0; i < 50; i++) {
      const cluster = pick(clusters);
      expect(await letsIn(cluster, await randomToken(cluster))).toBe(true);
    }
    expect(await letsIn('default', signed(headOf(), body()))).toBe(true);
  });

  it('let nobody in with any single bit flipped', async () => {
    for (let i = 0; i < 3; i++) {
      const token = Buffer.from(await randomToken('default'));
      for (let bit = 0; bit < token.length * 8; bit++) {
        const changed = Buffer.from(token);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        if (await letsIn('default', changed.toString('latin1'))) throw new Error(`bit ${bit} of ${token}`);
      }
    }
  });

  it('let nobody in cut, lengthened, or with parts put together anew', async () => {
    const [one, two] = [await randomToken('default'), await randomToken('default')];
    const [head, payload, signature] = one.split('.') as [string, string, string];
    for (let end = 0; end < one.length; end++) expect(await letsIn('default', one.slice(0, end))).toBe(false);
    const made = [
      `${head}.${two.split('.')[1]}.${signature}`,
      `${head}.${payload}.${two.split('.')[2]}`,
      `${head}.${payload}.`,
      `${head}..${signature}`,
      `.${payload}.${signature}`,
      `${one}.`,
      `${one}.${signature}`,
      `${head}.${one}`,
      ` ${one}`,
      `${one} `,
      `${one}\n`,
      `${head}.${payload}.${signature}=`,
      `${head}.${payload}.${signature}==`,
      `${head}.${payload}=.${signature}`,
      `${head}=.${payload}.${signature}`,
      `${head}.${payload}.${signature}A`,
      `${head}.${payload}.${signature.slice(0, 10)}\n${signature.slice(10)}`,
      [head, payload, signature].map((part) => Buffer.from(part, 'base64url').toString('base64')).join('.'),
      [head, payload, signature].map((part) => Buffer.from(part, 'base64url').toString('hex')).join('.'),
      one.toUpperCase(),
      encodeURIComponent(one).replaceAll('.', '%2E'),
    ];
    for (const token of made) if (token !== one) expect(await letsIn('default', token), token).toBe(false);
  });

  it('let nobody in whose signature says the same in other bits', async () => {
    const token = signed(headOf(), body());
    const [head, payload, signature] = token.split('.') as [string, string, string];
    // The last character of 64 bytes has four bits that say nothing.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(signature.at(-1) ?? '');
    for (let other = last & ~15; other < (last & ~15) + 16; other++)
      if (other !== last)
        expect(await letsIn('default', `${head}.${payload}.${signature.slice(0, -1)}${alphabet[other]}`)).toBe(false);
    expect(
      await letsIn(
        'default',
        signed(headOf(), body(), (text) => ecdsa(text, key.pem, 'der')),
      ),
    ).toBe(false);
    expect(
      await letsIn(
        'default',
        signed(headOf(), body(), () => Buffer.alloc(64)),
      ),
    ).toBe(false);
  });

  const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { privateKey: otherEc } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const otherPem = otherEc.export({ type: 'pkcs8', format: 'pem' }).toString();
  const hmac = (secret: string | Buffer) => (text: string) => createHmac('sha256', secret).update(text).digest();
  const kid = headOf().kid;
  it.each<[string, string]>([
    ['alg none', signed({ alg: 'none', kid }, body(), () => '')],
    ['alg none with a signature', signed({ alg: 'none', kid }, body())],
    ['alg None', signed({ alg: 'None', kid }, body(), () => '')],
    ['HS256 with the public key as PEM', signed({ alg: 'HS256', kid }, body(), hmac(publicPem))],
    [
      'HS256 with the public key as DER',
      signed({ alg: 'HS256', kid }, body(), hmac(createPublicKey(publicPem).export({ type: 'spki', format: 'der' }))),
    ],
    ['HS256 with nothing', signed({ alg: 'HS256', kid }, body(), hmac(''))],
    ['ES256 by HMAC', signed(headOf(), body(), hmac(publicPem))],
    [
      'RS256 with another key',
      signed({ alg: 'RS256', kid }, body(), (text) => signBytes('sha256', Buffer.from(text), rsa)),
    ],
    ['ES384', signed({ alg: 'ES384', kid }, body())],
    ['no alg', signed({ kid }, body())],
    ['another key under our kid', signed(headOf(), body(), (text) => ecdsa(text, otherPem))],
    [
      'a key of its own in the head',
      signed({ ...headOf(), jwk: createPublicKey(otherEc).export({ format: 'jwk' }) }, body(), (text) =>
        ecdsa(text, otherPem),
      ),
    ],
    [
      'a key at a URL',
      signed({ ...headOf(), jku: 'https://evil.example/jwks' }, body(), (text) => ecdsa(text, otherPem)),
    ],
    ['no kid', signed({ alg: 'ES256' }, body())],
    ['kid null', signed({ alg: 'ES256', kid: null }, body())],
    ['kid a list', signed({ alg: 'ES256', kid: [kid] }, body())],
    ['kid a path', signed({ alg: 'ES256', kid: '../../../../dev/null' }, body(), hmac(''))],
    ['kid with a statement', signed({ alg: 'ES256', kid: `${kid}' OR '1'='1` }, body())],
    ['kid __proto__', signed({ alg: 'ES256', kid: '__proto__' }, body())],
    ['kid twice', signed(`{"alg":"ES256","kid":"x","kid":"${kid}"}`, body())],
    ['alg twice', signed(`{"alg":"none","alg":"ES256","kid":"${kid}"}`, body())],
    ['other order', signed(`{"kid":"${kid}","alg":"ES256"}`, body())],
    ['spaces in the head', signed(`{"alg": "ES256", "kid": "${kid}"}`, body())],
    ['crit', signed({ ...headOf(), crit: ['exp'] }, body())],
    ['typ more', signed({ ...headOf(), typ: 'JWT' }, body())],
    ['kid of the other key, signed by this one', signed({ alg: 'ES256', kid: keyIdOf(keys[1] as SigningKey) }, body())],
    ['no JSON head', signed('{', body())],
    ['expired', signed(headOf(), body({ exp: seconds }))],
    ['not yet valid', signed(headOf(), body({ nbf: seconds + 61 }))],
    ['another issuer', signed(headOf(), body({ iss: 'https://evil.example' }))],
    ["another cluster's issuer", signed(headOf(), body({ iss: `${issuer}/clusters/team-a` }))],
    ['no issuer', signed(headOf(), body({ iss: undefined }))],
    ['another audience', signed(headOf(), body({ aud: ['other'] }))],
    ['an audience that holds ours', signed(headOf(), body({ aud: `${issuer}.evil.example` }))],
    ['no audience', signed(headOf(), body({ aud: [] }))],
    ['another uid of the cluster', signed(headOf(), body({ 'skiff.dev/cluster': 'uid-of-before' }))],
    ['no uid of the cluster', signed(headOf(), body({ 'skiff.dev/cluster': undefined }))],
    ['no end', signed(headOf(), body({ exp: undefined }))],
    ['an end that is no number', signed(headOf(), body({ exp: 'never' }))],
    ['nobody', signed(headOf(), body({ sub: undefined }))],
    ['huge', signed(headOf(), body({ more: 'x'.repeat(20_000) }))],
    ['a null payload', signed(headOf(), 'null')],
    ['a payload that is no JSON', signed(headOf(), '{')],
    ['a list as payload', signed(headOf(), '[]')],
  ])('let nobody in: %s', async (_, token) => {
    expect(await letsIn('default', token)).toBe(false);
  });

  it('let nobody into another cluster', async () => {
    for (let i = 0; i < 60; i++) {
      const [from, to] = [pick(clusters), pick(clusters)];
      expect(await letsIn(to, await randomToken(from)), `${from} to ${to}`).toBe(from === to);
    }
  });

  it('end at their time, also where they were seen before', async () => {
    const token = signed(headOf(), body({ exp: seconds + 10 }));
    expect(await letsIn('default', token)).toBe(true);
    now = START + 9_999;
    expect(await letsIn('default', token)).toBe(true);
    now = START + 10_000;
    expect(await letsIn('default', token)).toBe(false);
    now = START;
  });
});

describe('tokens that are bound', () => {
  const bound = async (kind: 'Pod' | 'Secret' | 'Node') => {
    const stored = createStored(clock);
    const objects = createBoundObjects({ replicas: stored.replicas, clock });
    const resource = { Pod: 'pods', Secret: 'secrets', Node: 'nodes' }[kind];
    const namespace = kind === 'Node' ? {} : { namespace: 'team' };
    const put = (uid: string) => stored.put('', resource, { metadata: { name: 'x', uid, ...namespace } });
    await stored.put('', 'serviceaccounts', { metadata: { name: 'web', namespace: 'team', uid: 'sa-1' } });
    const token = await authority.sign('default', {
      namespace: 'team',
      serviceAccount: { name: 'web', uid: 'sa-1' },
      audiences: [issuer],
      issuedAt: seconds,
      expiresAt: seconds + 600,
      bound: { kind, name: 'x', uid: 'the-uid' },
    });
    const checked = serviceAccountTokens(authority, objects);
    return { put, lets: async () => (await checked.authenticate('default', token, {})) !== undefined };
  };
  it.each(['Pod', 'Secret', 'Node'] as const)('to a %s count while that very object is there', async (kind) => {
    const before = await bound(kind);
    expect(await before.lets()).toBe(false);
    const there = await bound(kind);
    await there.put('the-uid');
    expect(await there.lets()).toBe(true);
    const replaced = await bound(kind);
    await replaced.put('another-uid');
    expect(await replaced.lets()).toBe(false);
  });
});
