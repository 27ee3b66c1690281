import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LogFileOptions, openLogFile } from './log-file.ts';

let folder = '';
let now = Date.UTC(2026, 0, 31, 10, 20, 30, 123);
const faults: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skiff-audit-'));
  now = Date.UTC(2026, 0, 31, 10, 20, 30, 123);
  faults.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (more: Partial<LogFileOptions> = {}) =>
  openLogFile({
    path: join(folder, 'deep/audit.log'),
    bytesMax: 100,
    backupsMax: 0,
    ageMsMax: 0,
    compress: false,
    now: () => now,
    onFault: (error) => faults.push(error.message),
    ...more,
  });
const bytes = (text: string): Buffer => Buffer.from(text);
const files = (): string[] => readdirSync(join(folder, 'deep')).sort();
const read = (name: string): string => readFileSync(join(folder, 'deep', name), 'utf8');
const line = (letter: string, length = 59): string => `${letter.repeat(length)}\n`;

describe('a log file', () => {
  it('is made for its owner alone, and appended to', () => {
    const first = open();
    first.write(bytes('a\n'));
    first.close();
    const second = open();
    second.write(bytes('b\n'));
    second.close();
    expect(read('audit.log')).toBe('a\nb\n');
    expect(statSync(join(folder, 'deep/audit.log')).mode & 0o777).toBe(0o600);
  });
  it('is rotated before it grows too large, under the time of its end', async () => {
    const file = open();
    for (const letter of ['a', 'b', 'c']) {
      file.write(bytes(line(letter)));
      now += 1000;
    }
    await file.writeLater(bytes(line('d', 20)));
    await file.settled();
    file.close();
    expect(files()).toEqual(['audit-2026-01-31T10-20-31.123.log', 'audit-2026-01-31T10-20-32.123.log', 'audit.log']);
    expect(read('audit-2026-01-31T10-20-31.123.log')).toBe(line('a'));
    expect(read('audit.log')).toBe(line('c') + line('d', 20));
    expect(faults).toEqual([]);
  });
  it('keeps so many rotated files, as old as said, and packed', async () => {
    const file = open({ backupsMax: 2, compress: true });
    for (const letter of ['a', 'b', 'c', 'd', 'e']) {
      file.write(bytes(line(letter)));
      now += 60_000;
    }
    await file.settled();
    expect(files()).toEqual([
      'audit-2026-01-31T10-23-30.123.log.gz',
      'audit-2026-01-31T10-24-30.123.log.gz',
      'audit.log',
    ]);
    const packed = readFileSync(join(folder, 'deep/audit-2026-01-31T10-24-30.123.log.gz'));
    expect(gunzipSync(packed).toString()).toBe(line('d'));
    file.close();
    const young = open({ ageMsMax: 90_000 });
    young.write(bytes(line('f')));
    await young.settled();
    young.close();
    expect(files()).toEqual(['audit-2026-01-31T10-24-30.123.log.gz', 'audit-2026-01-31T10-25-30.123.log', 'audit.log']);
  });
  it('is rotated twice in a millisecond without loss', async () => {
    const file = open();
    for (const letter of ['a', 'b', 'c']) file.write(bytes(line(letter)));
    await file.settled();
    file.close();
    expect(files().map(read).sort()).toEqual([line('a'), line('b'), line('c')]);
  });
  it('says that the disk is full, and leaves old files of others alone', async () => {
    const file = open();
    file.close();
    symlinkSync('/dev/full', join(folder, 'deep/audit-full.log'));
    const full = open({ path: join(folder, 'deep/audit-full.log'), bytesMax: 0 });
    expect(() => full.write(bytes(line('a')))).toThrow('ENOSPC');
    await expect(full.writeLater(bytes(line('a')))).rejects.toThrow('ENOSPC');
    full.close();
  });
});
