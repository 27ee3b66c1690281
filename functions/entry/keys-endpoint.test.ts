import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createTokenAuthority } from '../apiserver/authn/token-authority.ts';
import { createSystemClock } from '../clock/system.ts';
import type { KeyOperations } from './key-operations.ts';
import { keysEndpoint } from './keys-endpoint.ts';
import type { LocalEncryption } from './local-encryption.ts';
import { localKeyOperations } from './local-keys-operations.ts';
import { loadPki, tokenKeysOf } from './pki.ts';

const asked: string[] = [];
const operations: KeyOperations = {
  status: async () => ({ signing: [], encryption: { keys: [], writers: '', rewritten: true, values: {} } }),
  rotate: async (what) => {
    asked.push(`rotate ${what}`);
    return { name: 'new' };
  },
  remove: async (what, name) => {
    asked.push(`remove ${what} ${name}`);
    return name === 'used' ? { refused: 'it is in use' } : { name };
  },
};
const endpoint = keysEndpoint(operations, 'secret');
const send = (method: string, body?: string, token = 'secret', path = '/skiff.dev/keys') =>
  endpoint(
    new Request(`https://x${path}`, { method, headers: { authorization: `Bearer ${token}` }, ...(body && { body }) }),
  );

it.each<[string, string, string | undefined, number, string[]]>([
  ['tells', 'GET', undefined, 200, []],
  ['rotates', 'POST', '{"action":"rotate","what":"signing"}', 200, ['rotate signing']],
  ['removes', 'POST', '{"action":"remove","what":"encryption","name":"old"}', 200, ['remove encryption old']],
  ['refuses', 'POST', '{"action":"remove","what":"signing","name":"used"}', 409, ['remove signing used']],
  ['takes no removal without a name', 'POST', '{"action":"remove","what":"signing"}', 400, []],
  ['takes no other kind', 'POST', '{"action":"rotate","what":"all"}', 400, []],
  ['takes no other action', 'POST', '{"action":"burn","what":"signing"}', 400, []],
  ['takes no text', 'POST', 'rotate', 400, []],
  ['takes no null', 'POST', 'null', 400, []],
  ['takes nothing huge', 'POST', `{"action":"rotate","what":"signing","x":"${'x'.repeat(5000)}"}`, 400, []],
  ['takes no other method', 'DELETE', undefined, 405, []],
])('%s', async (_, method, body, status, done) => {
  asked.length = 0;
  expect((await send(method, body))?.status).toBe(status);
  expect(asked).toEqual(done);
});

it('is for the operator alone, and at its path alone', async () => {
  asked.length = 0;
  const rotate = '{"action":"rotate","what":"signing"}';
  for (const token of ['', 'secre', 'secret2', 'Secret']) expect((await send('POST', rotate, token))?.status).toBe(401);
  expect(await send('GET', undefined, 'secret', '/skiff.dev/keys/x')).toBeUndefined();
  expect(await send('GET', undefined, 'secret', '/apis/skiff.dev/v1/keys')).toBeUndefined();
  expect(asked).toEqual([]);
});

it('an embedded control plane keeps its signing keys over a start, and no token ends with a new one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-keys-'));
  try {
    const clock = createSystemClock();
    const pki = await loadPki(directory);
    const authority = createTokenAuthority({ keyPem: tokenKeysOf(pki), issuer: 'https://k', clock });
    const old = authority.mintAdminToken('default');
    const encryption = { status: operations.status } as unknown as LocalEncryption;
    const keys = localKeyOperations({ directory, pki, authority, encryption, clock });
    const made = await keys.rotate('signing');
    const again = await loadPki(directory);
    expect({ ...again, tokenKey: '', tokenKeys: [] }).toEqual({ ...pki, tokenKey: '', tokenKeys: [] });
    expect(statSync(join(directory, 'pki.json')).mode & 0o777).toBe(0o600);
    const next = createTokenAuthority({ keyPem: tokenKeysOf(again), issuer: 'https://k', clock });
    for (const one of [authority, next])
      for (const token of [old, next.mintAdminToken('default')])
        expect((await one.adminTokens.authenticate('default', token, {}))?.username).toBe('admin');
    const [newest, oldest] = (await keys.status()).signing;
    expect(made).toEqual({ name: newest?.kid });
    expect(await keys.remove('signing', newest?.kid ?? '')).toHaveProperty('refused');
    expect(await keys.remove('signing', oldest?.kid ?? '')).toEqual({ name: oldest?.kid });
    expect(await authority.adminTokens.authenticate('default', old, {})).toBeUndefined();
    expect(tokenKeysOf(await loadPki(directory)).length).toBe(1);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
