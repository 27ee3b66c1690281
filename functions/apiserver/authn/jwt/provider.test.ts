import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { selfSigned } from '../../outgoing/https-for-tests.ts';
import { jwtTokens } from './authenticator.ts';
import type { AuthenticationDocument } from './document.ts';
import { DISCOVERY, signingKey, startIssuer, type TestIssuer } from './issuer-for-tests.ts';
import { createProvider } from './provider.ts';
import { readDocument } from './read-document.ts';

let issuer: TestIssuer;
let now: number;
const clock = { now: () => now };
beforeEach(async () => {
  issuer = await startIssuer();
  now = Date.now();
});
afterEach(() => issuer.server.close());

const open = (more: { cluster?: string; ca?: string; timeoutMs?: number; discoveryURL?: string } = {}) =>
  createProvider({
    issuer: { url: issuer.url, audiences: ['a'], ...(more.discoveryURL && { discoveryURL: more.discoveryURL }) },
    reading: {
      cluster: more.cluster ?? 'default',
      ca: more.ca ?? issuer.server.cert,
      timeoutMs: more.timeoutMs ?? 2_000,
    },
    clock,
  });
const fault = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: Error) => error.message,
  );
const asked = (path: string): number => issuer.asked.get(path) ?? 0;
const json = (value: unknown) => (response: ServerResponse) => void response.end(JSON.stringify(value));

describe('an issuer that is not as it should be', () => {
  const hung: ServerResponse[] = [];
  const begun = (response: ServerResponse): ServerResponse => {
    response.write('{');
    return response;
  };
  afterEach(() => {
    for (const one of hung.splice(0)) one.destroy();
  });
  it.each<[string, string, (response: ServerResponse) => void, string]>([
    ['has no discovery document', DISCOVERY, (r) => void r.writeHead(404).end(), 'status 404'],
    ['sends one elsewhere', DISCOVERY, (r) => void r.writeHead(302, { location: '/x' }).end(), 'status 302'],
    ['answers no JSON', DISCOVERY, (r) => void r.end('<html>'), 'is no JSON'],
    ['answers null', DISCOVERY, json(null), 'issuer did not match'],
    [
      'is another',
      DISCOVERY,
      json({ issuer: 'https://other', jwks_uri: 'https://other' }),
      'issuer did not match the issuer returned by provider',
    ],
    ['has no keys', '/keys', (r) => void r.writeHead(500).end(), 'status 500'],
    ['has keys elsewhere', '/keys', (r) => void r.writeHead(307, { location: '/k' }).end(), 'status 307'],
    ['has garbage for keys', '/keys', (r) => void r.end('{"keys":'), 'failed to decode keys'],
    ['has no list of keys', '/keys', json({ keys: {} }), 'failed to decode keys'],
    ['hangs', '/keys', (r) => void hung.push(r), 'no answer in 300 ms'],
    ['hangs amid its answer', '/keys', (r) => void hung.push(begun(r)), 'no answer in 300 ms'],
    ['breaks off', '/keys', (r) => void setTimeout(() => r.destroy(), 20, begun(r)), 'EOF'],
    ['sends 10 MB', '/keys', (r) => void r.end(' '.repeat(10 << 20)), 'the answer is longer than 1048576 bytes'],
  ])('%s', async (_name, path, answer, expected) => {
    issuer.instead.set(path, answer);
    const provider = open({ timeoutMs: 300 });
    expect(await fault(provider.verify(issuer.token()))).toContain(expected);
    // It is asked again some time after, and until then its tokens are refused at once.
    const before = asked(DISCOVERY);
    issuer.instead.delete(path);
    expect(await fault(provider.verify(issuer.token()))).toContain('authenticator not initialized');
    expect(asked(DISCOVERY)).toBe(before);
    now += 10_000;
    expect(await provider.verify(issuer.token({ exp: now / 1000 + 60 }))).toMatchObject({ sub: 'ada' });
  });

  it('shows a certificate that is not trusted, or speaks no TLS', async () => {
    expect(await fault(open({ ca: (await selfSigned()).cert }).verify(issuer.token()))).toContain('x509');
    issuer.instead.set(DISCOVERY, json({ issuer: issuer.url, jwks_uri: 'http://127.0.0.1/keys' }));
    expect(await fault(open().verify(issuer.token()))).toContain('unsupported protocol scheme "http"');
  });

  it('is one of a tenant, near the control plane', async () => {
    expect(await fault(open({ cluster: 'tenant' }).verify(issuer.token()))).toContain(
      'not one that this cluster may reach',
    );
    const named = readDocument(`https://localhost:${issuer.server.port}/keys`, {
      cluster: 'tenant',
      ca: issuer.server.cert,
    });
    expect(await fault(named)).toContain('not one that this cluster may reach');
    expect(asked('/keys')).toBe(0);
  });

  it('has keys of other kinds, or none to use', async () => {
    const [good] = issuer.keys;
    const keys = [
      5,
      null,
      { kty: 'oct', k: 'AAAA', kid: 'k1' },
      { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' },
      { kty: 'EC', crv: 'P-256' },
    ];
    issuer.instead.set('/keys', json({ keys: [...keys, good?.jwk] }));
    expect(await open().verify(issuer.token())).toMatchObject({ sub: 'ada' });
    issuer.instead.set('/keys', json({ keys }));
    expect(await fault(open().verify(issuer.token()))).toContain('failed to verify signature');
  });
});

describe('keys', () => {
  it('are read once, however many ask at once, and not again', async () => {
    const provider = open();
    await Promise.all(Array.from({ length: 50 }, () => provider.verify(issuer.token())));
    await provider.verify(issuer.token());
    expect([asked(DISCOVERY), asked('/keys')]).toEqual([1, 1]);
  });

  it('are found where the discovery document is said to be', async () => {
    const at = `${issuer.url}/elsewhere`;
    issuer.instead.set('/elsewhere', json({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }));
    expect(await open({ discoveryURL: at }).verify(issuer.token())).toMatchObject({ sub: 'ada' });
    expect(asked(DISCOVERY)).toBe(0);
  });

  it('are read again for a token of a new one, at once', async () => {
    const provider = open();
    await provider.verify(issuer.token());
    const before = provider.generation();
    const next = signingKey('k2', 'RS256');
    issuer.keys = [next, ...issuer.keys];
    expect(await provider.verify(issuer.token({}, next))).toMatchObject({ sub: 'ada' });
    expect(provider.generation()).toBe(before + 1);
    expect(asked(DISCOVERY)).toBe(1);
  });

  it('are not read again more often than that, whatever tokens come', async () => {
    const provider = open();
    await provider.verify(issuer.token());
    for (let i = 0; i < 30; i++) await fault(provider.verify(issuer.token({}, signingKey(`k${i}`))));
    expect(asked('/keys')).toBe(1 + 5);
    now += 10_000;
    await fault(provider.verify(issuer.token({}, signingKey())));
    expect(asked('/keys')).toBe(1 + 6);
  });

  it('that were taken back end within minutes, and without anybody waiting', async () => {
    const provider = open();
    const token = issuer.token();
    await provider.verify(token);
    issuer.keys = [signingKey('k2')];
    expect(await provider.verify(token)).toMatchObject({ sub: 'ada' });
    now += 5 * 60_000 + 1;
    const before = provider.generation();
    expect(await provider.verify(token)).toMatchObject({ sub: 'ada' });
    await expect.poll(() => provider.generation()).toBe(before + 1);
    expect(await fault(provider.verify(token))).toContain('failed to verify signature');
  });

  it('that were taken back during a pause let nobody in after it, and a pause of the issuer keeps nobody out', async () => {
    const provider = open({ timeoutMs: 300 });
    const lasting = issuer.token({ exp: now / 1000 + 90_000 });
    await provider.verify(lasting);
    const [kept] = issuer.keys;
    issuer.instead.set('/keys', () => undefined);
    now += 3_600_000;
    expect(await provider.verify(lasting)).toMatchObject({ sub: 'ada' });
    issuer.instead.delete('/keys');
    issuer.keys = [signingKey('k2')];
    now += 3_600_000;
    expect(await fault(provider.verify(lasting))).toContain('failed to verify signature');
    issuer.keys = kept ? [kept] : [];
    now += 3_600_000;
    expect(await provider.verify(lasting)).toMatchObject({ sub: 'ada' });
  });

  it('stay where the issuer cannot be reached, and may move', async () => {
    const provider = open();
    await provider.verify(issuer.token());
    issuer.instead.set('/keys', (response) => void response.writeHead(503).end());
    now += 5 * 60_000 + 1;
    const token = issuer.token({ exp: now / 1000 + 600 });
    expect(await provider.verify(token)).toMatchObject({ sub: 'ada' });
    await expect.poll(() => asked('/keys')).toBe(2);
    const next = signingKey('k2');
    issuer.keys = [next];
    issuer.instead.set(DISCOVERY, json({ issuer: issuer.url, jwks_uri: `${issuer.url}/moved` }));
    issuer.instead.set('/moved', json({ keys: [next.jwk] }));
    expect(await provider.verify(token)).toMatchObject({ sub: 'ada' });
    await expect.poll(() => fault(provider.verify(issuer.token({ exp: now / 1000 + 60 }, next)))).toBe('none');
  });

  it('many requests for an issuer that hangs do not pile up', async () => {
    issuer.instead.set(DISCOVERY, () => undefined);
    const provider = open({ timeoutMs: 300 });
    const token = issuer.token();
    const faults = await Promise.all(Array.from({ length: 300 }, () => fault(provider.verify(token))));
    expect(faults.filter((one) => one.includes('too many requests wait'))).toHaveLength(100);
    expect(asked(DISCOVERY)).toBe(1);
  });
});

describe('the configuration of a cluster', () => {
  const of = (...paths: string[]): AuthenticationDocument => ({
    jwt: paths.map((path) => ({
      issuer: { url: `${issuer.url}/${path}`, certificateAuthority: issuer.server.cert, audiences: ['a'] },
      claimMappings: { username: { claim: 'sub', prefix: `${path}:` } },
    })),
  });
  const token = (path: string, claims: object = {}) => issuer.token({ iss: `${issuer.url}/${path}`, ...claims });

  it('may change while requests come: what stays the same is not read again', async () => {
    let document: AuthenticationDocument | undefined = of('one');
    const chain = jwtTokens(() => document, clock);
    const who = async (given: string) => (await chain.authenticate('default', given, {}))?.username;
    expect(await who(token('one'))).toBe('one:ada');
    expect(await who(token('two'))).toBeUndefined();
    document = of('two', 'one');
    expect(await who(token('two'))).toBe('two:ada');
    expect(await who(token('one'))).toBe('one:ada');
    expect(asked(`/one${DISCOVERY}`)).toBe(1);
    // Written anew, and still the same.
    document = of('two', 'one');
    expect(await who(token('two'))).toBe('two:ada');
    expect(asked(`/two${DISCOVERY}`)).toBe(1);
    document = of('two');
    expect(await who(token('one'))).toBeUndefined();
    document = undefined;
    expect(await who(token('two'))).toBeUndefined();
  });

  it('is of that cluster alone', async () => {
    const chain = jwtTokens((cluster) => (cluster === 'default' ? of('one') : undefined), clock);
    const given = token('one');
    expect((await chain.authenticate('default', given, {}))?.username).toBe('one:ada');
    expect(await chain.authenticate('system', given, {})).toBeUndefined();
    expect(await chain.authenticate('tenant', given, {})).toBeUndefined();
  });

  it('says why a token is refused to those who ask', async () => {
    const chain = jwtTokens(() => of('one'), clock);
    const faults: string[] = [];
    const explain = (text: string) => void faults.push(text);
    expect(await chain.authenticate('default', token('one', { exp: 5 }), { explain })).toBeUndefined();
    expect(faults).toEqual(['oidc: verify token: oidc: token is expired']);
  });

  it('leaves an issuer that does not answer to itself', async () => {
    issuer.instead.set(`/slow${DISCOVERY}`, () => undefined);
    const chain = jwtTokens(() => of('slow', 'one'), clock);
    const waiting = chain.authenticate('default', token('slow'), {});
    const began = performance.now();
    expect((await chain.authenticate('default', token('one'), {}))?.username).toBe('one:ada');
    expect(performance.now() - began).toBeLessThan(2_000);
    issuer.server.server.closeAllConnections();
    expect(await waiting).toBeUndefined();
  });

  it('remembers tokens no longer than they hold, nor than their keys', async () => {
    const chain = jwtTokens(() => of('one'), clock);
    const short = token('one', { exp: now / 1000 + 2 });
    expect(await chain.authenticate('default', short, {})).toBeDefined();
    now += 2_001;
    expect(await chain.authenticate('default', short, {})).toBeUndefined();
    const old = token('one', { exp: now / 1000 + 3600 });
    expect(await chain.authenticate('default', old, {})).toBeDefined();
    issuer.keys = [signingKey('k2')];
    expect(await chain.authenticate('default', token('one'), {})).toBeDefined();
    expect(await chain.authenticate('default', old, {})).toBeUndefined();
  });
});
