// Run as a process by dynamodb-histories.test.ts: writes and reads a few objects with others of its kind and prints what it
// saw, one line a call. Times are of the machine's monotonic clock, which all processes share.
//   node test/simulation/dynamodb-process.ts ENDPOINT TABLE NAME SEED OPERATIONS
import { setTimeout as delay } from 'node:timers/promises';
import { createSystemClock } from '../../functions/clock/system.ts';
import { domainName } from '../../functions/store/domain.ts';
import { createDynamoStore } from '../../functions/store/dynamodb.ts';
import type { Domain, Revision, Stored, Write } from '../../functions/store/store.ts';
import { bytesOf, resultOf, type Seen, seenOf, tokenOf } from './dynamodb-history.ts';
import { seeded } from './store-operations.ts';

const [endpoint = '', table = '', name = '', seed = '1', operations = '30'] = process.argv.slice(2);
const domain: Domain = { cluster: 'c', group: '', resource: 'pods' };
const keys = ['k0', 'k1', 'k2'];
const writers = 3;
const random = seeded(Number(seed));
const store = createDynamoStore({
  client: { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } },
  table,
  clock: createSystemClock(),
  fenceMs: 30,
});
const known = new Map<string, Revision>();
const now = (): number => Number(process.hrtime.bigint());
const tell = (seen: Seen): void => void process.stdout.write(`${JSON.stringify({ ...seen, end: seen.end })}\n`);

const note = (key: string, stored: Stored | undefined): void => {
  if (stored) known.set(key, stored.revision);
  else known.delete(key);
};
const get = async (key: string): Promise<void> => {
  const start = now();
  const found = await store.get(domain, key);
  note(key, found);
  const call = { op: 'get' as const, ...(found ? { found: tokenOf(found) } : {}) };
  tell({ domain: domainName(domain), key, start, end: now(), call });
};
const write = async (key: string, token: string): Promise<void> => {
  const expected = known.get(key);
  const rest = {
    key,
    index: { labels: { t: token }, fields: {}, owners: [] },
    bytes: bytesOf(token, new Uint8Array()),
  };
  const made: Write =
    expected === undefined
      ? { op: 'create', ...rest }
      : random() < 0.8
        ? { op: 'update', expected, ...rest }
        : { op: 'delete', key, expected };
  const start = now();
  const [outcome] = await store.commit(domain, [made]);
  const end = now();
  tell({ domain: domainName(domain), key, start, end, call: { ...seenOf(made), token, result: resultOf(outcome) } });
  if (outcome?.ok) note(key, made.op === 'delete' ? undefined : outcome.stored);
  else if (outcome && 'current' in outcome) note(key, outcome.current);
  else known.delete(key);
};
const writer = async (id: number): Promise<void> => {
  for (let i = 0; i < Number(operations); i++) {
    const key = keys[Math.floor(random() * keys.length)] ?? 'k0';
    if (random() < 0.3) await get(key);
    else await write(key, `${name}-${id}-${i}`);
    if (random() < 0.2) await delay(random() * 20);
  }
};
await Promise.all(Array.from({ length: writers }, (_, id) => writer(id)));
await store.close();
