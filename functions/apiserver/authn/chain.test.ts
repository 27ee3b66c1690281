import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { type Authorizer, mastersAuthorizer } from '../authz/authorizer.ts';
import { createStored } from '../authz/stored-for-tests.ts';
import { user } from './authenticator.ts';
import { authenticatorChain } from './chain.ts';
import { impersonate } from './impersonation.ts';
import { createTokenAuthority } from './token-authority.ts';

const clock = createSystemClock();
const keyPem = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();
const authority = createTokenAuthority({ keyPem, issuer: 'https://k', clock });
const clientCertificate = { commonName: 'alice', organizations: ['ops'], fingerprint: 'ab' };

describe('authenticatorChain', () => {
  const stored = createStored(clock);
  const parts = { adminToken: 'the-admin-token', authority, replicas: stored.replicas, clock };
  const chain = authenticatorChain(parts);
  const name = async (token: string | undefined, connection = {}, of = chain) =>
    (await of.authenticate('default', token, connection))?.username;

  it('asks one authenticator after the other', async () => {
    expect(await name('the-admin-token')).toBe('admin');
    expect((await chain.authenticate('default', 'the-admin-token', {}))?.groups).toContain('system:masters');
    expect(await name('the-admin-tokem')).toBeUndefined();
    expect(await name('')).toBeUndefined();
    expect(await name(undefined, { clientCertificate })).toBe('alice');
    expect((await chain.authenticate('default', undefined, { clientCertificate }))?.groups).toEqual([
      'ops',
      'system:authenticated',
    ]);
    expect(await name(authority.mintNodeToken('default', 'one'))).toBe('system:node:one');
    const now = Math.floor(clock.now() / 1000);
    const token = await authority.sign('default', {
      namespace: 'n',
      serviceAccount: { name: 's', uid: 'u' },
      audiences: ['https://k'],
      issuedAt: now,
      expiresAt: now + 600,
    });
    expect(await name(token)).toBeUndefined();
    await stored.put('', 'serviceaccounts', { metadata: { name: 's', namespace: 'n', uid: 'u' } });
    expect(await name(token)).toBe('system:serviceaccount:n:s');
    expect(await name('a.b.c')).toBeUndefined();
    expect(await name(undefined)).toBeUndefined();
  });

  it('takes strangers where that is enabled, but never a wrong token', async () => {
    const open = authenticatorChain({ ...parts, anonymous: true });
    expect(await name(undefined, {}, open)).toBe('system:anonymous');
    expect(await name('wrong', {}, open)).toBeUndefined();
  });
});

describe('impersonate', () => {
  const admin = user('admin', ['system:masters']);
  const request = (headers: [string, string][]) => ({
    cluster: 'default',
    group: 'apps',
    resource: 'deployments',
    name: 'x',
    headers: new Headers(headers),
  });
  const by = (headers: [string, string][], who = admin, authorizer: Authorizer = mastersAuthorizer()) =>
    impersonate(authorizer, who, request(headers));

  it('leaves a request without headers alone', async () => {
    expect(await by([])).toBe(admin);
  });

  it('fills in the groups that a user is in anyway', async () => {
    expect(await by([['impersonate-user', 'u']])).toEqual({
      username: 'u',
      uid: '',
      groups: ['system:authenticated'],
      extra: {},
    });
    expect((await by([['impersonate-user', 'system:serviceaccount:team:web']])).groups).toEqual([
      'system:serviceaccounts',
      'system:serviceaccounts:team',
      'system:authenticated',
    ]);
    expect((await by([['impersonate-user', 'system:anonymous']])).groups).toEqual(['system:unauthenticated']);
  });

  it('takes groups, uid and extra', async () => {
    const found = await by([
      ['impersonate-user', 'u'],
      ['impersonate-group', 'a'],
      ['impersonate-group', 'b'],
      ['impersonate-uid', 'abc'],
      ['impersonate-extra-a%2fb', 'c'],
    ]);
    expect(found).toEqual({
      username: 'u',
      uid: 'abc',
      groups: ['a', 'b', 'system:authenticated'],
      extra: { 'a/b': ['c'] },
    });
  });

  it('refuses headers without a user', async () => {
    await expect(by([['impersonate-group', 'a']])).rejects.toMatchObject({ code: 400 });
    await expect(by([['impersonate-uid', 'a']])).rejects.toMatchObject({ code: 400 });
    await expect(by([['impersonate-extra-a', 'a']])).rejects.toMatchObject({ code: 400 });
  });

  it('needs the right for each part', async () => {
    const rights: string[] = [];
    const only = (...allowed: string[]): Authorizer => ({
      authorize: async (a) => {
        const right = `${a.verb} ${a.group}/${a.resource}${a.subresource && `/${a.subresource}`} ${a.namespace}/${a.name}`;
        rights.push(right);
        return allowed.includes(right) ? { allowed: true } : { allowed: false, reason: '' };
      },
      rulesFor: async () => ({ rules: [] }),
    });
    const bob = user('bob', []);
    const all: [string, string][] = [
      ['impersonate-user', 'u'],
      ['impersonate-group', 'g'],
      ['impersonate-uid', 'i'],
      ['impersonate-extra-k', 'v'],
    ];
    const needed = [
      'impersonate /users /u',
      'impersonate /groups /g',
      'impersonate authentication.k8s.io/uids /i',
      'impersonate authentication.k8s.io/userextras/k /v',
    ];
    expect((await by(all, bob, only(...needed))).username).toBe('u');
    expect(rights).toEqual(needed);
    for (const lacking of needed) {
      const denied = by(all, bob, only(...needed.filter((n) => n !== lacking)));
      await expect(denied).rejects.toMatchObject({
        code: 403,
        status: { details: { group: 'apps', kind: 'deployments', name: 'x' } },
      });
    }
    const account: [string, string][] = [['impersonate-user', 'system:serviceaccount:team:web']];
    expect((await by(account, bob, only('impersonate /serviceaccounts team/web'))).username).toBe(
      'system:serviceaccount:team:web',
    );
    await expect(by(account, bob, only('impersonate /users /system:serviceaccount:team:web'))).rejects.toMatchObject({
      code: 403,
    });
  });
});
