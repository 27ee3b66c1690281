import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import type { AuditEvent } from './event.ts';
import { parseAuditSink } from './sink-document.ts';
import { openSinks } from './sinks.ts';

let folder = '';
const lost: Record<string, number> = {};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skiff-audit-'));
  for (const key of Object.keys(lost)) delete lost[key];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const event = (name: string, size = 0, level: AuditEvent['level'] = 'Request'): AuditEvent => ({
  level,
  json: JSON.stringify({ name, body: 'x'.repeat(size) }),
  truncated: () => JSON.stringify({ name, truncated: true }),
  legacy: () => `AUDIT ${name}`,
});
const open = (document: object) =>
  openSinks(parseAuditSink({ apiVersion: 'skiff.dev/v1', kind: 'AuditSink', ...document }), {
    clock: createSystemClock(),
    directory: folder,
    immediate: false,
    onLost: (plugin, _error, events) => {
      lost[plugin] = (lost[plugin] ?? 0) + events;
    },
    log: () => undefined,
  });
const lines = (path: string): string[] => readFileSync(join(folder, path), 'utf8').split('\n').slice(0, -1);

describe('a log', () => {
  it.each(['blocking', 'blocking-strict', 'batch'])(
    'in the mode %s has every event in order when it is closed',
    async (mode) => {
      const sink = await open({ log: { path: 'a.log', mode } });
      const names = Array.from({ length: 3000 }, (_, i) => `e${i}`);
      for (const name of names) expect(sink.process(event(name, name.endsWith('7') ? 1000 : 0))).toBe(true);
      await sink.close();
      expect(lines('a.log').map((line) => JSON.parse(line).name)).toEqual(names);
      expect(lost).toEqual({});
    },
  );
  it('takes events larger than what is gathered, and other letters', async () => {
    const sink = await open({ log: { path: 'a.log' } });
    sink.process(event('é漢😀'));
    sink.process(event('large', 600_000));
    sink.process(event('last'));
    await sink.close();
    expect(lines('a.log').map((line) => JSON.parse(line).name)).toEqual(['é漢😀', 'large', 'last']);
  });
  it('is written within milliseconds where nobody waits for it', async () => {
    const sink = await open({ log: { path: 'a.log' } });
    sink.process(event('a'));
    await expect.poll(() => lines('a.log').length).toBe(1);
    await sink.close();
  });
  it('in the legacy format has its lines', async () => {
    const sink = await open({ log: { path: 'a.log', format: 'legacy' } });
    sink.process(event('a'));
    await sink.close();
    expect(lines('a.log')).toEqual(['AUDIT a']);
  });
  it.each([
    ['blocking', true],
    ['blocking-strict', false],
    ['batch', true],
  ])('on a full disk lets requests pass in the mode %s: %s', async (mode, passes) => {
    const sink = await open({ log: { path: '/dev/full', mode, maxSizeMB: 0 } });
    expect(sink.process(event('a'))).toBe(passes);
    await sink.close();
    expect(lost).toEqual({ log: 1 });
  });
  it('drops what its buffer cannot hold, and counts it', async () => {
    const sink = await open({ log: { path: 'a.log', mode: 'batch', batch: { bufferSize: 10 } } });
    for (let i = 0; i < 25; i++) expect(sink.process(event(`e${i}`))).toBe(true);
    await sink.close();
    expect(lines('a.log')).toHaveLength(10);
    expect(lost).toEqual({ buffered: 15 });
  });
  it('leaves bodies out of large events where it is told to, and what is still too large', async () => {
    const truncate = { enabled: true, maxEventSize: 500, maxBatchSize: 500 };
    const sink = await open({ log: { path: 'a.log', truncate } });
    sink.process(event('small', 100));
    sink.process(event('large', 1000));
    sink.process(event('bodiless', 1000, 'Metadata'));
    await sink.close();
    expect(lines('a.log').map((line) => JSON.parse(line))).toEqual([
      { name: 'small', body: 'x'.repeat(100) },
      { name: 'large', truncated: true },
    ]);
    expect(lost).toEqual({ truncate: 1 });
  });
});

describe('a document', () => {
  it.each<[object, string]>([
    [{}, 'neither log nor webhook says where events go'],
    [{ log: {} }, 'log.path: '],
    [{ log: { path: 'a', mode: 'strict' } }, 'log.mode: '],
    [{ log: { path: 'a', colour: 'red' } }, 'log: '],
    [{ log: { path: 'a', maxSizeMB: -1 } }, 'log.maxSizeMB: '],
    [{ log: { path: 'a', truncate: { maxEventSize: 10, maxBatchSize: 5 } } }, 'log.truncate.maxBatchSize: must not be'],
    [{ webhook: { kubeconfig: 'k', initialBackoff: 'soon' } }, 'webhook.initialBackoff: "soon" is no duration'],
    [{ webhook: { kubeconfig: 'k', batch: { bufferSize: 0 } } }, 'webhook.batch.bufferSize: '],
  ])('%j is refused', async (given, message) => {
    await expect(async () => open(given)).rejects.toThrow(message);
  });
  it('has upstream’s defaults', () => {
    const given = { apiVersion: 'skiff.dev/v1', kind: 'AuditSink', log: { path: '-' }, webhook: { kubeconfig: 'k' } };
    expect(parseAuditSink(given)).toMatchObject({
      log: { format: 'json', mode: 'blocking', maxAgeDays: 366, maxBackups: 100, maxSizeMB: 100, compress: false },
      webhook: {
        mode: 'batch',
        initialBackoff: 10_000,
        batch: { bufferSize: 10_000, maxBatchSize: 400, maxBatchWait: 30_000, throttle: { qps: 10, burst: 15 } },
        truncate: { enabled: false, maxEventSize: 102_400, maxBatchSize: 10_485_760 },
      },
    });
  });
});
