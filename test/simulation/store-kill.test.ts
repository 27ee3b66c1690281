import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createSqliteStore, DirectoryInUse } from '../../functions/store/sqlite.ts';
import { domains, seeded, seedsToRun } from './store-operations.ts';

const rounds = 6;
const [seed = 1] = seedsToRun(1);
type Acknowledged = Map<string, { at: number; key: string; revision: bigint; gone: boolean }>;

/** Starts the writer, kills it some milliseconds after it began to write; returns what it printed, whole lines only. */
const writeUntilKilled = (
  path: string,
  round: number,
  afterMs: number,
  meanwhile: () => Promise<void>,
): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const args = ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'store-writer.ts')];
    const child = spawn(process.execPath, [...args, path, `${seed}`, `${round}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    let started = false;
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (started) return;
      started = true;
      setTimeout(() => void meanwhile().finally(() => child.kill('SIGKILL')), afterMs);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (signal !== 'SIGKILL') reject(new Error(`the writer ended by itself with ${code}`));
      resolve(text.slice(0, text.lastIndexOf('\n')).split('\n').slice(1));
    });
  });

const note = (acknowledged: Acknowledged, lines: readonly string[]): void => {
  for (const line of lines) {
    const [at = '', key = '', revision = '0', state] = line.split(' ');
    acknowledged.set(`${at} ${key}`, { at: Number(at), key, revision: BigInt(revision), gone: state === 'gone' });
  }
};

/** Every acknowledged write is there (or a later one of the same key is), and the log is whole and in order. */
const check = async (path: string, acknowledged: Acknowledged): Promise<void> => {
  const store = await createSqliteStore({ path, logKeep: 500 });
  try {
    for (const known of acknowledged.values()) {
      const { at, key, revision } = known;
      const domain = domains[at];
      if (!domain) throw new Error(`no domain ${at}`);
      const stored = await store.get(domain, key);
      // The one write of each caller that was under way when it was killed may have happened: its delete is in the log.
      if (!stored && !known.gone) {
        const tail = await store.changes(domain, (await store.head(domain)) - 30n, 1000);
        known.gone = tail !== 'compacted' && tail.some((c) => c.type === 'delete' && c.stored.key === key);
        expect(known.gone, `${key} at ${revision} is lost`).toBe(true);
      }
      if (known.gone) expect(stored, `${key} was deleted at ${revision}`).toBeUndefined();
      if (stored) expect(stored.revision >= revision, `${key}: ${stored.revision} before ${revision}`).toBe(true);
      if (stored) expect(Buffer.from(stored.bytes).toString().split(':')[0]).toBe(`${stored.revision}`);
    }
    for (const domain of domains) {
      const head = await store.head(domain);
      const changes = await store.changes(domain, head > 400n ? head - 400n : 0n, 1000);
      if (changes === 'compacted') throw new Error('compacted');
      const last = changes.at(-1)?.stored.revision ?? 0n;
      expect(last).toBe(head);
      expect(changes.map((c) => c.stored.revision)).toEqual(
        changes.map((_, i) => head - BigInt(changes.length - 1 - i)),
      );
    }
  } finally {
    await store.close();
  }
};

it(`loses no acknowledged write to kill -9, seed ${seed}`, { timeout: 120_000 }, async () => {
  console.log(`seed ${seed}; replay with SEED=${seed}`);
  const random = seeded(seed);
  const path = mkdtempSync(join(tmpdir(), 'skiff-kill-'));
  const acknowledged: Acknowledged = new Map();
  let second: unknown;
  try {
    for (let round = 0; round < rounds; round++) {
      const lines = await writeUntilKilled(path, round, 50 + random() * 400, async () => {
        if (round > 0) return;
        second = await createSqliteStore({ path }).catch((error: unknown) => error);
      });
      note(acknowledged, lines);
      await check(path, acknowledged);
    }
    expect(second).toBeInstanceOf(DirectoryInUse);
    expect(acknowledged.size).toBeGreaterThan(200);
    console.log(`${acknowledged.size} keys acknowledged in ${rounds} rounds, all there`);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});
