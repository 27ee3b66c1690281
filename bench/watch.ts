import type { ClientHttp2Session } from 'node:http2';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { open, send, type Target } from './load.ts';
import { startPlane } from './process.ts';

const PATH = '/api/v1/namespaces/default/configmaps';

interface Watcher {
  events: number;
  /** From just before the write was sent to the event's arrival, in milliseconds. */
  lags: number[];
  opened: Promise<void>;
  close(): void;
}

const watch = (session: ClientHttp2Session, token: string, from: string, sent: Map<string, number>): Watcher => {
  const stream = session.request({
    ':path': `${PATH}?watch=1&resourceVersion=${from}`,
    authorization: `Bearer ${token}`,
  });
  const lags: number[] = [];
  let rest = '';
  const opened = new Promise<void>((resolve, reject) => {
    stream.on('response', (headers) =>
      headers[':status'] === 200 ? resolve() : reject(new Error(`watch: ${headers[':status']}`)),
    );
    stream.on('error', reject);
  });
  const watcher: Watcher = { events: 0, lags, opened, close: () => stream.close() };
  stream.on('data', (chunk: Buffer) => {
    const now = performance.now();
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      watcher.events++;
      const began = sent.get(/"name":"([^"]*)"/.exec(line)?.[1] ?? '');
      if (began !== undefined) lags.push(now - began);
    }
  });
  return watcher;
};

const versionOf = async (target: Target): Promise<string> => {
  const session = await open(target);
  const stream = session.request({ ':path': `${PATH}?limit=1`, authorization: `Bearer ${target.token}` });
  let text = '';
  for await (const chunk of stream) text += chunk;
  session.close();
  return (JSON.parse(text) as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
};

/** So many watchers of one resource on one connection, under writes at a steady rate from another. */
const lagOf = async (target: Target, label: string, watchers: number, writes: number, perSecond: number) => {
  const sent = new Map<string, number>();
  const from = await versionOf(target);
  const session = await open(target);
  const all = Array.from({ length: watchers }, () => watch(session, target.token, from, sent));
  await Promise.all(all.map((w) => w.opened));
  const writer = await open(target);
  const began = performance.now();
  const pending: Promise<number>[] = [];
  for (let i = 0; i < writes; i++) {
    const due = began + (i * 1000) / perSecond;
    if (due > performance.now()) await delay(due - performance.now());
    const name = `${label}-${i}`;
    sent.set(name, performance.now());
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { i: String(i) } });
    pending.push(send(writer, target.token, { method: 'POST', path: PATH, body }));
  }
  await Promise.all(pending);
  const until = performance.now() + 20_000;
  while (all.some((w) => w.events < writes) && performance.now() < until) await delay(20);
  const seconds = (performance.now() - began) / 1000;
  const lags = all.flatMap((w) => w.lags).sort((a, b) => a - b);
  const lost = all.reduce((sum, w) => sum + writes - w.events, 0);
  for (const w of all) w.close();
  session.destroy();
  writer.destroy();
  const at = (q: number) => Math.round((lags[Math.floor(lags.length * q)] ?? 0) * 10) / 10;
  return {
    watchers,
    writes,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    lost,
    eventsPerSecond: Math.round(lags.length / seconds),
  };
};

/** Lag of 100 watchers under 200 writes/s (p99 under 100 ms), and 1,000 watchers under 20 writes/s without loss. */
export const watches = async () => {
  const plane = await startPlane();
  try {
    await lagOf(plane.target, 'warm', 100, 200, 200);
    const hundred = await lagOf(plane.target, 'hundred', 100, 1000, 200);
    const thousand = await lagOf(plane.target, 'thousand', 1000, 200, 20);
    return {
      p50Ms: hundred.p50Ms,
      p99Ms: hundred.p99Ms,
      goalP99Ms: 100,
      eventsPerSecond: hundred.eventsPerSecond,
      lost: hundred.lost,
      thousandP99Ms: thousand.p99Ms,
      thousandLost: thousand.lost,
      met: hundred.p99Ms < 100 && hundred.lost === 0 && thousand.lost === 0,
    };
  } finally {
    await plane.stop();
  }
};
