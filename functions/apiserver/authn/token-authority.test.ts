import { generateKeyPairSync } from 'node:crypto';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createStored } from '../authz/stored-for-tests.ts';
import { createBoundObjects } from './bound-objects.ts';
import { serviceAccountTokens, type TokenClaims } from './service-account-tokens.ts';
import { createTokenAuthority } from './token-authority.ts';

const newKey = () =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const issuer = 'https://kubernetes.default.svc.cluster.local';
const START = Date.parse('2026-01-01T00:00:00Z');

const setup = () => {
  let now = START;
  const clock = { ...createSystemClock(), now: () => now };
  const authority = createTokenAuthority({ keyPem: newKey(), issuer, clock });
  const stored = createStored(clock);
  const objects = createBoundObjects({ replicas: stored.replicas, clock });
  return {
    authority,
    clock,
    stored,
    tokens: serviceAccountTokens(authority, objects),
    advance: (ms: number) => {
      now += ms;
    },
  };
};
const claims = (more: Partial<TokenClaims> = {}): TokenClaims => ({
  namespace: 'team',
  serviceAccount: { name: 'web', uid: 'sa-1' },
  audiences: [issuer],
  issuedAt: START / 1000,
  expiresAt: START / 1000 + 600,
  ...more,
});
const account = (uid = 'sa-1') => ({ metadata: { name: 'web', namespace: 'team', uid } });
const pod = (uid = 'pod-1', more = {}) => ({ metadata: { name: 'p', namespace: 'team', uid, ...more } });
const bound = { kind: 'Pod', name: 'p', uid: 'pod-1' };

describe('service account tokens', () => {
  it('say who the account is, and where its pod runs', async () => {
    const { authority, stored, tokens } = setup();
    await stored.put('', 'serviceaccounts', account());
    await stored.put('', 'pods', pod());
    const token = await authority.sign('default', claims({ bound, node: { name: 'n', uid: 'node-1' }, id: 'the-id' }));
    expect(await tokens.authenticate('default', token, {})).toEqual({
      username: 'system:serviceaccount:team:web',
      uid: 'sa-1',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:team', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': ['JTI=the-id'],
        'authentication.kubernetes.io/pod-name': ['p'],
        'authentication.kubernetes.io/pod-uid': ['pod-1'],
        'authentication.kubernetes.io/node-name': ['n'],
        'authentication.kubernetes.io/node-uid': ['node-1'],
      },
    });
  });

  it('keep every claim through a round', async () => {
    const { authority } = setup();
    for (const more of [
      {},
      { bound, node: { name: 'n', uid: 'u' } },
      { bound: { kind: 'Secret', name: 's', uid: 'u' } },
      { bound: { kind: 'Node', name: 'n', uid: 'u' }, warnAfter: 5 },
    ]) {
      const given = claims({ ...more, id: 'x' });
      expect(await authority.verify('default', await authority.sign('default', given))).toEqual(given);
    }
  });

  it('of a secret that is marked invalid do not count while it is', async () => {
    const { authority, stored, tokens } = setup();
    await stored.put('', 'serviceaccounts', account());
    const of = { kind: 'Secret', name: 's', uid: 'secret-1' };
    const token = await authority.sign('default', claims({ bound: of }));
    const counts = async (labels: Record<string, string>, type = 'kubernetes.io/service-account-token') => {
      const secret = { metadata: { name: 's', namespace: 'team', uid: 'secret-1', labels }, type };
      await stored.put('', 'secrets', secret as never);
      return Boolean(await tokens.authenticate('default', token, {}));
    };
    const marked = { 'kubernetes.io/legacy-token-invalid-since': '2026-01-01' };
    expect(await counts({})).toBe(true);
    expect(await counts(marked)).toBe(false);
    expect(await counts({ 'kubernetes.io/legacy-token-invalid-since': '' })).toBe(true);
    // A token that was asked for has no date of its own in its secret.
    expect(await counts(marked, 'Opaque')).toBe(true);
  });

  it('are verifiable by others through the published key', async () => {
    const { authority } = setup();
    const token = await authority.sign('default', claims({ bound }));
    const jwks = createLocalJWKSet(
      JSON.parse(authority.document('default', '/openid/v1/jwks', 'https://s')?.body ?? ''),
    );
    const { payload } = await jwtVerify(token, jwks, { issuer, audience: issuer, currentDate: new Date(START) });
    expect(payload.sub).toBe('system:serviceaccount:team:web');
    expect(payload['kubernetes.io']).toEqual({
      namespace: 'team',
      pod: { name: 'p', uid: 'pod-1' },
      serviceaccount: { name: 'web', uid: 'sa-1' },
    });
    const configuration = JSON.parse(
      authority.document('a', '/.well-known/openid-configuration', 'https://s/clusters/a')?.body ?? '',
    );
    expect(configuration).toMatchObject({
      issuer: `${issuer}/clusters/a`,
      jwks_uri: 'https://s/clusters/a/openid/v1/jwks',
    });
    expect(authority.document('default', '/openid/v1', 'https://s')).toBeUndefined();
  });

  it('are refused when changed in any part', async () => {
    const { authority } = setup();
    const token = await authority.sign('default', claims());
    const [head = '', body = '', signature = ''] = token.split('.');
    const forged = Buffer.from(Buffer.from(body, 'base64url').toString().replaceAll('web', 'adm')).toString(
      'base64url',
    );
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const flipped = Buffer.from(signature, 'base64url');
    flipped[10] = (flipped[10] ?? 0) ^ 1;
    const broken = [
      `${head}.${forged}.${signature}`,
      `${none}.${body}.${signature}`,
      `${none}.${body}.`,
      `${head}.${body}.${flipped.toString('base64url')}`,
      `${head}.${body}.${signature}=`,
      `${head}.${body}.${signature}.x`,
      `${head}.${body}`,
    ];
    expect(await authority.verify('default', token)).toBeDefined();
    for (const one of broken) expect(await authority.verify('default', one), one).toBeUndefined();
    const other = createTokenAuthority({ keyPem: newKey(), issuer, clock: { now: () => START, uuid: () => 'u' } });
    expect(await other.verify('default', token)).toBeUndefined();
  });

  it('are refused after their time, before it, and in another cluster', async () => {
    const { authority, advance } = setup();
    const token = await authority.sign('default', claims());
    expect(await authority.verify('other', token)).toBeUndefined();
    expect(await authority.verify('default', await authority.sign('other', claims()))).toBeUndefined();
    const later = await authority.sign('default', claims({ issuedAt: START / 1000 + 120 }));
    expect(await authority.verify('default', later)).toBeUndefined();
    advance(599_000);
    expect(await authority.verify('default', token)).toBeDefined();
    advance(1000);
    expect(await authority.verify('default', token)).toBeUndefined();
    expect(await authority.verify('default', token)).toBeUndefined();
  });

  it('count only for their audience', async () => {
    const { authority, stored } = setup();
    await stored.put('', 'serviceaccounts', account());
    const token = await authority.sign('default', claims({ audiences: ['vault'] }));
    expect(await serviceAccountTokens(authority).authenticate('default', token, {})).toBeUndefined();
    expect(
      await serviceAccountTokens(authority, undefined, ['vault']).authenticate('default', token, {}),
    ).toBeDefined();
  });

  it('die with the account, the pod and their uids', async () => {
    const { authority, stored, tokens, advance } = setup();
    const token = await authority.sign('default', claims({ bound }));
    const known = async () => (await tokens.authenticate('default', token, {})) !== undefined;
    expect(await known()).toBe(false);
    await stored.put('', 'serviceaccounts', account());
    expect(await known()).toBe(false);
    await stored.put('', 'pods', pod());
    expect(await known()).toBe(true);
    await stored.put('', 'pods', pod('pod-2'));
    expect(await known()).toBe(false);
    await stored.put('', 'pods', pod('pod-1', { deletionTimestamp: new Date(START).toISOString() }));
    expect(await known()).toBe(true);
    advance(61_000);
    expect(await known()).toBe(false);
    await stored.put('', 'pods', pod());
    await stored.put('', 'serviceaccounts', account('sa-2'));
    expect(await known()).toBe(false);
    await stored.put('', 'serviceaccounts', account());
    expect(await known()).toBe(true);
    await stored.remove('', 'pods', 'team/p');
    expect(await known()).toBe(false);
  });
});

describe('node tokens', () => {
  it('stand for the node of one cluster', async () => {
    const { authority, advance, tokens } = setup();
    const token = authority.mintNodeToken('default', 'worker-1', 3600);
    const found = await authority.nodeTokens.authenticate('default', token, {});
    expect(found).toMatchObject({ username: 'system:node:worker-1', groups: ['system:nodes', 'system:authenticated'] });
    expect(await authority.nodeTokens.authenticate('other', token, {})).toBeUndefined();
    expect(await tokens.authenticate('default', token, {})).toBeUndefined();
    expect(
      await authority.nodeTokens.authenticate('default', await authority.sign('default', claims()), {}),
    ).toBeUndefined();
    expect(await authority.nodeTokens.authenticate('default', undefined, {})).toBeUndefined();
    advance(3_600_000);
    expect(await authority.nodeTokens.authenticate('default', token, {})).toBeUndefined();
  });
});
