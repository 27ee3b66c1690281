import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ClientHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { median, open, send } from './load.ts';
import { startSettled } from './process.ts';

const PODS = '/api/v1/namespaces/default/pods';
const NODES = 50;
const REPLICAS = 1000;
const MINUTES_MAX = 3;

const read = async (session: ClientHttp2Session, token: string, path: string): Promise<unknown> => {
  const stream = session.request({ ':path': path, authorization: `Bearer ${token}` });
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
};

const until = async (what: string, isDone: () => Promise<boolean>, everyMs: number): Promise<void> => {
  const limit = performance.now() + MINUTES_MAX * 60_000;
  while (!(await isDone())) {
    if (performance.now() > limit) throw new Error(`${what}: not within ${MINUTES_MAX} minutes`);
    await delay(everyMs);
  }
};

interface Conditioned {
  status?: { conditions?: { type: string; status: string }[]; readyReplicas?: number };
}
const isReady = (object: Conditioned): boolean =>
  object.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;

const waitForNodes = (session: ClientHttp2Session, token: string, count: number): Promise<void> =>
  until(
    'nodes Ready',
    async () => {
      const { items } = (await read(session, token, '/api/v1/nodes')) as { items: Conditioned[] };
      return items.filter(isReady).length >= count;
    },
    100,
  );

const deployment = (name: string, replicas: number, image: string) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'main', image, resources: { requests: { cpu: '10m', memory: '10Mi' } } }] },
    },
  },
});

/** From the create of a Deployment of 1,000 pods over 50 hollow nodes to readyReplicas 1,000. */
export const hollow = async () => {
  const plane = await startSettled(['--nodes', String(NODES), '--runtime', 'hollow']);
  try {
    const { token } = plane.target;
    const session = await open(plane.target);
    await waitForNodes(session, token, NODES);
    const path = '/apis/apps/v1/namespaces/default/deployments';
    const body = JSON.stringify(deployment('many', REPLICAS, 'example.com/app:1'));
    const began = performance.now();
    await send(session, token, { method: 'POST', path, body });
    await until(
      'all pods Ready',
      async () => {
        const found = (await read(session, token, `${path}/many`)) as Conditioned;
        return (found.status?.readyReplicas ?? 0) >= REPLICAS;
      },
      50,
    );
    const seconds = (performance.now() - began) / 1000;
    session.close();
    const podsPerSecond = Math.round(REPLICAS / seconds);
    return {
      pods: REPLICAS,
      nodes: NODES,
      seconds: Math.round(seconds * 100) / 100,
      podsPerSecond,
      goalPodsPerSecond: 100,
      rssMb: plane.rssMb(),
      met: podsPerSecond >= 100,
    };
  } finally {
    await plane.stop();
  }
};

const missing = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const tool of ['containerd', 'runc']) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `${tool} is not installed`;
  }
  return undefined;
};

const SAMPLES = 7;

/** Builds an image of one sleeping program and loads it into the node. */
const sleeperImage = (directory: string): void => {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-bench-image-'));
  try {
    writeFileSync(join(folder, 'image.yaml'), 'binaries: [/bin/sleep]\nentrypoint: [/bin/sleep, "3600"]\n');
    const main = join(import.meta.dirname, '../cli/main.ts');
    const args = [main, 'image', 'build', folder, '--name', 'bench:1', '--data', directory];
    const built = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`the image was not built: ${built.stderr}${built.stdout}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/** From the create of a pod to its condition Ready, its image present, on a node with CRI; one at a time. */
export const realPod = async () => {
  const reason = missing();
  if (reason) return { skipped: reason };
  const plane = await startSettled(['--nodes', '1', '--runtime', 'cri', '--yes']);
  try {
    const { token } = plane.target;
    const session = await open(plane.target);
    await waitForNodes(session, token, 1);
    sleeperImage(plane.directory);
    const times: number[] = [];
    for (let i = 0; i < SAMPLES; i++) {
      const name = `real-${i}`;
      const spec = { containers: [{ name: 'main', image: 'bench:1', imagePullPolicy: 'Never' }] };
      const body = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec });
      const began = performance.now();
      await send(session, token, { method: 'POST', path: PODS, body });
      await until(
        `pod ${name} Ready`,
        async () => isReady((await read(session, token, `${PODS}/${name}`)) as Conditioned),
        5,
      );
      times.push(performance.now() - began);
      await send(session, token, { method: 'DELETE', path: `${PODS}/${name}?gracePeriodSeconds=0` });
    }
    session.close();
    const medianMs = Math.round(median(times));
    return { samples: SAMPLES, medianMs, maxMs: Math.round(Math.max(...times)), goalMs: 1000, met: medianMs < 1000 };
  } finally {
    await plane.stop();
  }
};
