import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
