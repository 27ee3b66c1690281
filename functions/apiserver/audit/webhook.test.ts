import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { startHttps, type TestServer } from '../outgoing/https-for-tests.ts';
import { type BatchOptions, createBatches } from './batches.ts';
import type { AuditEvent } from './event.ts';
import { parseAuditSink } from './sink-document.ts';
import { openSinks } from './sinks.ts';

const event = (name: string): AuditEvent => ({
  level: 'Metadata',
  json: JSON.stringify({ name }),
  truncated: () => '{}',
  legacy: () => name,
});
const namesOf = (body: string): string[] =>
  (JSON.parse(body) as { items: { name: string }[] }).items.map(({ name }) => name);

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface Taken {
  request: IncomingMessage;
  body: string;
}

/** A webhook that answers by `answer`, and a sink that sends to it. */
const start = async (answer: (taken: Taken, response: ServerResponse, count: number) => void, webhook: object) => {
  const taken: Taken[] = [];
  const server: TestServer = await startHttps((request, response, body) => {
    taken.push({ request, body });
    answer({ request, body }, response, taken.length);
  });
  const folder = mkdtempSync(join(tmpdir(), 'skiff-audit-'));
  const cluster = { server: `${server.url}/events?x=y`, 'certificate-authority-data': server.caBundle };
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    clusters: [{ name: 'a', cluster }],
    users: [{ name: 'u', user: { token: 'secret' } }],
    contexts: [{ name: 'c', context: { cluster: 'a', user: 'u' } }],
  };
  writeFileSync(join(folder, 'kubeconfig'), JSON.stringify(kubeconfig));
  const lost: Record<string, number> = {};
  const document = { apiVersion: 'skiff.dev/v1', kind: 'AuditSink', webhook: { kubeconfig: 'kubeconfig', ...webhook } };
  const sink = await openSinks(parseAuditSink(document), {
    clock: createSystemClock(),
    directory: folder,
    immediate: false,
    onLost: (plugin, _error, events) => {
      lost[plugin] = (lost[plugin] ?? 0) + events;
    },
    log: () => undefined,
  });
  endings.push(
    () => rmSync(folder, { recursive: true, force: true }),
    () => server.close(),
  );
  return { taken, sink, lost, server };
};
const well = (_: Taken, response: ServerResponse) => void response.end('{}');

describe('a webhook', () => {
  it('gets lists of events, with the credential of its kubeconfig', async () => {
    const { taken, sink, lost } = await start(well, { batch: { maxBatchSize: 2, maxBatchWait: '1h' } });
    for (const name of ['a', 'b', 'c']) sink.process(event(name));
    await expect.poll(() => taken.length).toBe(1);
    await sink.close();
    expect(taken.map(({ body }) => namesOf(body))).toEqual([['a', 'b'], ['c']]);
    expect(JSON.parse(taken[0]?.body ?? '')).toMatchObject({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1' });
    expect(taken[0]?.request).toMatchObject({ method: 'POST', url: '/events?x=y' });
    expect(taken[0]?.request.headers).toMatchObject({
      authorization: 'Bearer secret',
      'content-type': 'application/json',
    });
    expect(lost).toEqual({});
  });
  it('is asked again where it fails, and nothing is lost', async () => {
    const failing = (_: Taken, response: ServerResponse, count: number) => {
      if (count === 1) response.writeHead(500).end();
      else if (count === 2) response.destroy();
      else response.end('{}');
    };
    const { taken, sink, lost } = await start(failing, { mode: 'blocking', initialBackoff: '5ms' });
    expect(await sink.process(event('a'))).toBe(true);
    expect(taken.map(({ body }) => namesOf(body))).toEqual([['a'], ['a'], ['a']]);
    expect(lost).toEqual({});
    await sink.close();
  });
  it.each([
    ['blocking', true],
    ['blocking-strict', false],
  ])('that only fails is given up after five times; requests pass in the mode %s: %s', async (mode, passes) => {
    const { taken, sink, lost } = await start((_, response) => void response.writeHead(500).end(), {
      mode,
      initialBackoff: '2ms',
    });
    expect(await sink.process(event('a'))).toBe(passes);
    expect(taken).toHaveLength(5);
    expect(lost).toEqual({ webhook: 1 });
    await sink.close();
  });
  it('that is not there, or hangs, holds no request in the mode batch; what it misses is counted', async () => {
    const { sink, lost, server } = await start(() => undefined, {
      initialBackoff: '2ms',
      batch: { maxBatchSize: 1, bufferSize: 5, throttle: { enabled: false } },
    });
    for (let i = 0; i < 30; i++) expect(sink.process(event(`e${i}`))).toBe(true);
    // Ten batches are under way, five events wait.
    expect(lost).toEqual({ buffered: 15 });
    await server.close();
    await expect.poll(() => lost, { timeout: 5000 }).toEqual({ buffered: 15, webhook: 15 });
    await sink.close();
  });
  it('gets no more at once than it may', async () => {
    const truncate = { enabled: true, maxEventSize: 30, maxBatchSize: 40 };
    const { taken, sink } = await start(well, { truncate, batch: { maxBatchSize: 10 } });
    for (const name of ['aaaaaa', 'bbbbbb', 'cccccc', 'd']) sink.process(event(name));
    await sink.close();
    expect(taken.flatMap(({ body }) => namesOf(body))).toEqual(['aaaaaa', 'bbbbbb', 'cccccc', 'd']);
    expect(taken).toHaveLength(2);
  });
});

describe('batches', () => {
  const open = (more: Partial<BatchOptions> = {}) => {
    const delivered: string[][] = [];
    let lost = 0;
    const backend = createBatches({
      bufferSize: 100,
      maxBatchSize: 10,
      maxBatchWaitMs: 20,
      deliveriesMax: 1,
      deliver: async (events) => {
        delivered.push(events.map(({ json }) => JSON.parse(json).name));
        return true;
      },
      onFault: (_error, events) => {
        lost += events;
      },
      now: () => performance.now(),
      closeMsMax: 50,
      ...more,
    });
    return { backend, delivered, lost: () => lost };
  };
  it('go out after a while where they are not full', async () => {
    const { backend, delivered } = open();
    backend.process(event('a'));
    backend.process(event('b'));
    expect(delivered).toEqual([]);
    await expect.poll(() => delivered).toEqual([['a', 'b']]);
    await backend.close();
  });
  it('are throttled after a burst', async () => {
    const { backend, delivered } = open({ maxBatchSize: 1, throttle: { qps: 50, burst: 2 } });
    const began = performance.now();
    for (const name of ['a', 'b', 'c', 'd']) backend.process(event(name));
    await backend.flush();
    expect(delivered).toHaveLength(4);
    expect(performance.now() - began).toBeGreaterThan(30);
    await backend.close();
  });
  it('that are never taken are counted when all ends, as is what comes after', async () => {
    const { backend, lost } = open({ maxBatchSize: 1, deliver: () => new Promise(() => undefined) });
    for (const name of ['a', 'b', 'c']) backend.process(event(name));
    await backend.close();
    expect(lost()).toBe(2);
    backend.process(event('d'));
    expect(lost()).toBe(3);
  });
});
