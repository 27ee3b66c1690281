// A process that encrypts a directory's plain values anew while it writes others, until it is killed.
import { join } from 'node:path';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createLocalEncryption } from '../../functions/entry/local-encryption.ts';
import { createSqliteStore } from '../../functions/store/sqlite.ts';
import type { Domain } from '../../functions/store/store.ts';

const [directory = '', round = '', rotates = ''] = process.argv.slice(2);
const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const inner = await createSqliteStore({ path: join(directory, 'store') });
const log = (line: string): void => console.error(line);
const configured = () => undefined;
const encryption = await createLocalEncryption({ directory, inner, clock: createSystemClock(), configured, log });
console.log('begun');
encryption.begin();
if (rotates) await encryption.rotate();
for (let i = 0; ; i++) {
  const key = `new/${round}-${i}`;
  const bytes = (revision: bigint) =>
    Buffer.from(JSON.stringify({ metadata: { resourceVersion: `${revision}` }, data: `canary-killed ${key}` }));
  const index = { labels: {}, fields: {}, owners: [] };
  const [outcome] = await encryption.store.commit(secrets, [{ op: 'create', key, index, bytes }]);
  if (!outcome?.ok) throw new Error(`${key}: ${outcome?.reason}`);
  console.log(key);
}
