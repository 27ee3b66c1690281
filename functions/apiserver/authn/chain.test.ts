import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createStored } from '../authz/stored-for-tests.ts';
import { staticTokens, user } from './authenticator.ts';
import { authenticatorChain } from './chain.ts';
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

  it('takes a static token whole only, whatever was shown before it', async () => {
    const tokens = new Map([
      ['abcd', user('one', [])],
      ['ab€', user('two', [])],
    ]);
    const fixed = staticTokens(tokens);
    const whose = async (token: string | undefined) => (await fixed.authenticate('default', token, {}))?.username;
    for (const [token, username] of [
      ['abcd', 'one'],
      ['abc€', undefined],
      ['abcď', undefined],
      ['abc', undefined],
      ['abcde', undefined],
      ['ab€', 'two'],
      ['ab\ud800', undefined],
      ['abc', undefined],
      ['', undefined],
      [undefined, undefined],
      ['abcd', 'one'],
    ] as const)
      expect([token, await whose(token)]).toEqual([token, username]);
  });

  it('takes strangers where that is enabled, but never a wrong token', async () => {
    const open = authenticatorChain({ ...parts, anonymous: true });
    expect(await name(undefined, {}, open)).toBe('system:anonymous');
    expect(await name('wrong', {}, open)).toBeUndefined();
  });
});
