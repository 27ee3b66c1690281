import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEncryption, type Encryption } from '../../functions/store/encryption/encryption.ts';
import { encryptedStore } from '../../functions/store/encryption/store.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import { createSqliteStore } from '../../functions/store/sqlite.ts';
import { storeContract } from './store.ts';

storeContract('memory', () => ({ open: async () => createMemoryStore(), remove: async () => undefined }), {
  durability: 'memory ends with the process',
});

storeContract('sqlite', () => {
  const path = mkdtempSync(join(tmpdir(), 'skiff-store-'));
  return {
    open: () => createSqliteStore({ path }),
    remove: async () => rmSync(path, { recursive: true, force: true }),
  };
});

const secret = (bytes = 32): string => randomBytes(bytes).toString('base64');
/** Everything encrypted, by one provider. */
const encryptionWith = (provider: Record<string, unknown>): Promise<Encryption> =>
  createEncryption({ configuration: { resources: [{ resources: ['*.*'], providers: [provider] }] } });

for (const [name, size] of [
  ['aesgcm', 32],
  ['aescbc', 16],
  ['secretbox', 32],
] as const)
  storeContract(
    `${name} over memory`,
    () => ({
      open: async () => {
        const encryption = await encryptionWith({ [name]: { keys: [{ name: 'key1', secret: secret(size) }] } });
        return encryptedStore(createMemoryStore(), () => encryption);
      },
      remove: async () => undefined,
    }),
    { durability: 'memory ends with the process' },
  );

storeContract('aesgcm over sqlite', () => {
  const path = mkdtempSync(join(tmpdir(), 'skiff-store-'));
  const keys = [{ name: 'key1', secret: secret() }];
  return {
    open: async () => {
      const encryption = await encryptionWith({ aesgcm: { keys } });
      return encryptedStore(await createSqliteStore({ path }), () => encryption);
    },
    remove: async () => rmSync(path, { recursive: true, force: true }),
  };
});
