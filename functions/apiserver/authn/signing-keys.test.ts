import { createLocalJWKSet, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  KEYS_MAX,
  keyIdOf,
  PUBLISHED_MS,
  type SigningKey,
  signerAt,
  statusOfKeys,
  withNewKey,
  withoutKey,
} from './signing-keys.ts';
import { createTokenAuthority } from './token-authority.ts';

const issuer = 'https://kubernetes.default.svc.cluster.local';
const START = Date.parse('2026-01-01T00:00:00Z');
const firstKeys = (): SigningKey[] => withNewKey([], START - 1000, 0);
const claims = (now: number, seconds = 3600) => ({
  namespace: 'team',
  serviceAccount: { name: 'web', uid: 'sa-1' },
  audiences: [issuer],
  issuedAt: now / 1000,
  expiresAt: now / 1000 + seconds,
});

/** Processes that share the keys of a table, each with a memory and a clock. */
const deployment = () => {
  const table = { keys: firstKeys(), reads: 0, down: false };
  let now = START;
  const open = (shares = true) =>
    createTokenAuthority({
      keyPem: table.keys,
      issuer,
      clock: { now: () => now, uuid: () => 'id' },
      ...(shares && {
        readKeys: async () => {
          table.reads++;
          if (table.down) throw new Error('the table is away');
          return table.keys;
        },
      }),
    });
  const pass = (ms: number) => {
    now += ms;
  };
  return { table, open, pass, now: () => now };
};
const kidOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;
const shownKeys = (authority: ReturnType<typeof createTokenAuthority>) =>
  JSON.parse(authority.document('default', '/openid/v1/jwks', 'https://s')?.body ?? '') as { keys: { kid: string }[] };

describe('a new signing key', () => {
  it('logs nobody out: tokens of the old one count, new ones are signed by it, both are published', async () => {
    const { table, open, now } = deployment();
    const authority = open(false);
    const old = await authority.sign('default', claims(now()));
    const [node, admin] = [authority.mintNodeToken('default', 'n1'), authority.mintAdminToken('default')];
    table.keys = withNewKey(table.keys, now(), 0);
    authority.use(table.keys);
    expect((await authority.verify('default', old))?.serviceAccount.uid).toBe('sa-1');
    expect((await authority.nodeTokens.authenticate('default', node, {}))?.username).toBe('system:node:n1');
    expect((await authority.adminTokens.authenticate('default', admin, {}))?.username).toBe('admin');
    const fresh = await authority.sign('default', claims(now()));
    expect(kidOf(fresh)).not.toBe(kidOf(old));
    const set = shownKeys(authority);
    expect(set.keys.map(({ kid }) => kid)).toEqual([kidOf(fresh), kidOf(old)]);
    for (const token of [old, fresh])
      await jwtVerify(token, createLocalJWKSet(set as never), { issuer, currentDate: new Date(now()) });
  });

  it('signs in no process before every process can know it', async () => {
    const { table, open, pass, now } = deployment();
    const [one, two] = [open(), open()];
    table.keys = withNewKey(table.keys, now(), PUBLISHED_MS);
    const newest = keyIdOf(table.keys[0] as SigningKey);
    for (let passed = 0; passed < PUBLISHED_MS; passed += 20_000) {
      const token = await one.sign('default', claims(now()));
      expect(kidOf(token)).not.toBe(newest);
      expect(await two.verify('default', token)).toBeDefined();
      pass(20_000);
    }
    const token = await one.sign('default', claims(now()));
    expect(kidOf(token)).toBe(newest);
    expect(await two.verify('default', token)).toBeDefined();
  });

  it('is read once by a process that meets a token of it, and tokens of keys that nobody has make none read more', async () => {
    const { table, open, pass, now } = deployment();
    const old = open();
    table.keys = withNewKey(table.keys, now(), 0);
    const token = await open().sign('default', claims(now()));
    expect(table.reads).toBe(0);
    expect(await old.verify('default', token)).toBeDefined();
    expect(table.reads).toBe(1);
    const strangers = await Promise.all(
      Array.from({ length: 50 }, () =>
        createTokenAuthority({
          keyPem: withNewKey([], now(), 0),
          issuer,
          clock: { now, uuid: () => 'id' },
        }).sign('default', claims(now())),
      ),
    );
    for (const stranger of strangers) expect(await old.verify('default', stranger)).toBeUndefined();
    expect(table.reads).toBe(1);
    pass(10_001);
    for (const stranger of strangers) expect(await old.verify('default', stranger)).toBeUndefined();
    expect(table.reads).toBe(2);
  });

  it('costs a read a minute, while tokens come', async () => {
    const { table, open, pass, now } = deployment();
    const authority = open();
    const token = await authority.sign('default', claims(now()));
    for (let second = 0; second < 600; second++) {
      pass(1000);
      expect(await authority.verify('default', token)).toBeDefined();
    }
    expect(table.reads).toBeGreaterThanOrEqual(9);
    expect(table.reads).toBeLessThanOrEqual(10);
  });
});

describe('a key that is taken away', () => {
  it('takes its tokens with it, also those that were seen before; in other processes within a minute', async () => {
    const { table, open, pass, now } = deployment();
    const [one, two] = [open(), open()];
    const old = await one.sign('default', claims(now()));
    expect(await two.verify('default', old)).toBeDefined();
    table.keys = withNewKey(table.keys, now(), 0);
    const gone = withoutKey(table.keys, kidOf(old), now());
    if (typeof gone === 'string') throw new Error(gone);
    table.keys = gone;
    one.use(gone);
    expect(await one.verify('default', old)).toBeUndefined();
    pass(61_000);
    expect(await two.verify('default', old)).toBeUndefined();
  });

  it('logs nobody out while the table is away', async () => {
    const { table, open, pass, now } = deployment();
    const authority = open();
    const token = await authority.sign('default', claims(now()));
    table.down = true;
    pass(120_000);
    expect(await authority.verify('default', token)).toBeDefined();
    const reads = table.reads;
    expect(await authority.verify('default', token)).toBeDefined();
    expect(table.reads).toBe(reads);
  });

  it('is not the one that signs, nor one that is not there', () => {
    const keys = withNewKey(firstKeys(), START, PUBLISHED_MS);
    const [newest, signing] = keys.map(keyIdOf);
    expect(withoutKey(keys, signing ?? '', START)).toContain('signs tokens now');
    expect(withoutKey(keys, 'nobody', START)).toContain('there is no signing key');
    expect(withoutKey(keys, newest ?? '', START)).toHaveLength(1);
    expect(withoutKey(keys, newest ?? '', START + PUBLISHED_MS)).toContain('signs tokens now');
    expect(withoutKey(keys, signing ?? '', START + PUBLISHED_MS)).toHaveLength(1);
  });
});

describe('lists of keys', () => {
  it('say what each is for', () => {
    const keys = withNewKey(firstKeys(), START, PUBLISHED_MS);
    expect(statusOfKeys(keys, START).map(({ state }) => state)).toEqual(['published', 'signs']);
    const later = statusOfKeys(keys, START + PUBLISHED_MS);
    expect(later.map(({ state }) => state)).toEqual(['signs', 'verifies']);
    expect(later[1]?.tokensEndBy).toBe('2027-01-01T00:02:00.000Z');
  });

  it('are bounded', () => {
    let keys = firstKeys();
    while (keys.length < KEYS_MAX) keys = withNewKey(keys, START, 0);
    expect(() => withNewKey(keys, START, 0)).toThrow('retire one first');
    expect(() => signerAt([], START)).toThrow('no key');
  });
});
