import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createLocalEncryption } from '../../functions/entry/local-encryption.ts';
import { createSqliteStore } from '../../functions/store/sqlite.ts';
import type { Domain } from '../../functions/store/store.ts';

const secrets: Domain = { cluster: 'default', group: '', resource: 'secrets' };
const index = { labels: {}, fields: {}, owners: [] };
const CANARY = 'canary-killed';
const OLD = 1500;

const filesWith = (directory: string, found: string): string[] =>
  readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    if (statSync(path).isDirectory()) return filesWith(path, found);
    return readFileSync(path).includes(found) ? [path] : [];
  });

/** Lets a process encrypt and write, kills it some milliseconds after it began; returns the keys that it acknowledged. */
const killedAfter = (directory: string, round: number, afterMs: number): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const script = join(import.meta.dirname, 'encryption-writer.ts');
    const args = ['--disable-warning=ExperimentalWarning', script, directory, `${round}`, round % 2 ? 'rotates' : ''];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    let begun = false;
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (begun) return;
      begun = true;
      setTimeout(() => child.kill('SIGKILL'), afterMs);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (signal !== 'SIGKILL') reject(new Error(`the writer ended by itself with ${code}`));
      resolve(text.slice(0, text.lastIndexOf('\n')).split('\n').slice(1));
    });
  });

it('encrypting anew goes on after each kill -9, loses nothing, and leaves nothing plain', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-encryption-kill-'));
  try {
    const plain = await createSqliteStore({ path: join(directory, 'store') });
    for (let i = 0; i < OLD; i++) {
      const bytes = () => Buffer.from(JSON.stringify({ data: `${CANARY} old ${i}` }));
      await plain.commit(secrets, [{ op: 'create', key: `old/${i}`, index, bytes }]);
    }
    await plain.close();
    const acknowledged: string[] = [];
    for (let round = 0; round < 5; round++)
      acknowledged.push(...(await killedAfter(directory, round, 60 + round * 90)));

    const inner = await createSqliteStore({ path: join(directory, 'store') });
    const told: string[] = [];
    const encryption = await createLocalEncryption({
      directory,
      inner,
      clock: createSystemClock(),
      configured: () => undefined,
      log: (line) => void told.push(line),
    });
    encryption.begin();
    while (!(await encryption.status()).rewritten) await delay(20);
    const { values, keys } = await encryption.status();
    expect(Object.keys(values)).toEqual([`aesgcm:${keys[0]?.name}`]);
    expect(keys.length).toBe(3);
    const { items } = await encryption.store.scan(secrets, '', 1_000_000);
    const texts = new Map(items.map(({ key, bytes }) => [key, Buffer.from(bytes).toString()]));
    for (let i = 0; i < OLD; i++) expect(texts.get(`old/${i}`)).toBe(JSON.stringify({ data: `${CANARY} old ${i}` }));
    for (const key of acknowledged) expect(texts.get(key)).toContain(`${CANARY} ${key}`);
    expect(acknowledged.length).toBeGreaterThan(20);
    expect(filesWith(directory, CANARY)).toEqual([]);
    await encryption.close();
    await inner.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 120_000);
