import { appendFile, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSystemClock } from '../functions/clock/system.ts';
import { type LogOptions, parseLogLine, readLog, rotateLog } from './logs.ts';

let directory = '';
let file = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'skiff-logs-'));
  file = join(directory, '0.log');
});
afterEach(() => rm(directory, { recursive: true, force: true }));
const line = (second: number, text: string, tag = 'F') =>
  `2026-01-01T00:00:0${second}.000000000Z stdout ${tag} ${text}\n`;
const read = async (options: Partial<LogOptions> = {}) => {
  const parts: Buffer[] = [];
  const all = { follow: false, timestamps: false, ...options };
  for await (const part of readLog(file, all, createSystemClock(), () => true, new AbortController().signal))
    parts.push(part);
  return Buffer.concat(parts).toString('utf8');
};

test('lines of the CRI format', () => {
  expect(parseLogLine(Buffer.from('2026-01-01T00:00:00Z stderr P half'))).toMatchObject({
    stream: 'stderr',
    partial: true,
  });
  expect(parseLogLine(Buffer.from('2026-01-01T00:00:00Z stdout F'))?.content.length).toBe(0);
  expect(parseLogLine(Buffer.from('nonsense'))).toBeUndefined();
  // json-file, as nerdctl writes it
  const json = (log: string) =>
    parseLogLine(Buffer.from(JSON.stringify({ log, stream: 'stderr', time: '2026-01-01T00:00:00.5Z' })));
  expect(json('whole "line"\n')).toMatchObject({
    timestamp: '2026-01-01T00:00:00.5Z',
    stream: 'stderr',
    partial: false,
  });
  expect(json('whole "line"\n')?.content.toString()).toBe('whole "line"');
  expect(json('half')).toMatchObject({ partial: true, content: Buffer.from('half') });
  expect(parseLogLine(Buffer.from('{"log":"cut'))).toBeUndefined();
  expect(parseLogLine(Buffer.from('{"log":"x","stream":"other","time":"t"}'))).toBeUndefined();
});

test('tail, since, limit, timestamps and partial lines', async () => {
  await writeFile(file, line(1, 'one') + line(2, 'two-', 'P') + line(2, 'half') + line(3, 'three'));
  expect(await read()).toBe('one\ntwo-half\nthree\n');
  expect(await read({ tailLines: 2 })).toBe('two-half\nthree\n');
  expect(await read({ tailLines: 0 })).toBe('');
  expect(await read({ sinceMs: Date.parse('2026-01-01T00:00:03Z') })).toBe('three\n');
  expect(await read({ limitBytes: 6 })).toBe('one\ntw');
  expect(await read({ tailLines: 2, timestamps: true })).toBe(
    '2026-01-01T00:00:02.000000000Z two-half\n2026-01-01T00:00:03.000000000Z three\n',
  );
  await expect(
    read
      .call(undefined)
      .then(() => rm(file))
      .then(() => read()),
  ).rejects.toThrow('ENOENT');
});

test('rotated files are read before the current one, and only so many are kept', async () => {
  for (let at = 1; at <= 7; at += 1) {
    await writeFile(file, line(at, `line ${at}`));
    expect(await rotateLog(file, 10, 5)).toBe(true);
  }
  await appendFile(file, line(8, 'line 8'));
  expect(await rotateLog(file, 1000, 5)).toBe(false);
  expect((await readdir(directory)).sort()).toEqual(['0.log', '0.log.1', '0.log.2', '0.log.3', '0.log.4']);
  expect(await read()).toBe('line 4\nline 5\nline 6\nline 7\nline 8\n');
});

test('following sees what is appended, also after the file was emptied, and ends with the container', async () => {
  await writeFile(file, line(1, 'one'));
  let done = false;
  const seen: string[] = [];
  const reader = (async () => {
    const options = { follow: true, timestamps: false };
    for await (const part of readLog(file, options, createSystemClock(), () => done, new AbortController().signal)) {
      seen.push(part.toString('utf8'));
      if (seen.length === 1) await appendFile(file, line(2, 'two'));
      if (seen.length === 2) {
        await truncate(file, 0);
        setTimeout(
          () =>
            void appendFile(file, line(3, 'x')).then(() =>
              setTimeout(() => {
                done = true;
              }, 50),
            ),
          250,
        );
      }
    }
  })();
  await reader;
  expect(seen).toEqual(['one\n', 'two\n', 'x\n']);
});
