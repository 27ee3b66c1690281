// Figures of the cloud mode on MiniStack: node bench/cloud.ts. Bundles, cold imports, and how long a deployment takes to
// its first Ready pod through the deployed functions.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { connectClient, readAccess } from '../cli/access.ts';
import { readDeployment } from '../cli/cloud/deployment.ts';
import { DEPLOYMENTS, isPodReady, PODS } from '../cli/demo/context.ts';
import type { Client } from '../functions/client/client.ts';
import type { Pod } from '../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../functions/machinery/object.ts';
import { BUNDLES, bundleFunctions, type FunctionName } from '../infra/bundle.ts';
import { startMiniStack } from '../test/cloud/ministack.ts';
import { type Running, skiff, startSkiff } from '../test/cloud/processes.ts';
import { median } from './load.ts';

const ROUNDS = 15;
const IMPORTS = 7;

const say = (bench: string, figures: Record<string, unknown>): void =>
  console.log(JSON.stringify({ bench, ...figures }));

/** Milliseconds to import a bundle in a new process, and its memory then in MB. */
const coldImport = (name: FunctionName): { ms: number; rssMb: number } => {
  const script = `const t = performance.now(); await import(${JSON.stringify(join(BUNDLES, name, 'index.mjs'))});
    console.log(performance.now() - t, process.memoryUsage().rss / 1e6);`;
  const env = { ...process.env, SKIFF_TABLE: 'table', AWS_REGION: 'us-east-1' };
  const runs = Array.from({ length: IMPORTS }, () => {
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', env });
    return stdout.trim().split(' ').map(Number);
  });
  const of = (at: number) => Math.round(median(runs.map((run) => run[at] ?? Number.NaN)));
  return { ms: of(0), rssMb: of(1) };
};

const deploymentOf = (name: string): KubeObject =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'web' }] } },
    },
  }) as KubeObject;

/** Milliseconds from the create of a deployment to the first Ready pod, as a client that asks every 5 ms sees it. */
const toReady = async (client: Client, name: string): Promise<number> => {
  const began = performance.now();
  await client.create(DEPLOYMENTS, deploymentOf(name));
  for (;;) {
    const pods = await client.list<Pod>(PODS, { namespace: 'default', labelSelector: `app=${name}` });
    if (pods.items.some(isPodReady)) return performance.now() - began;
    if (performance.now() - began > 30_000) throw new Error(`${name} is not ready`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

const scratch = mkdtempSync(join(tmpdir(), 'skiff-bench-cloud-'));
const data = join(scratch, 'deployment');
const running: Running[] = [];

const sizes = await bundleFunctions();
for (const [name, bytes] of Object.entries(sizes)) {
  say(`function ${name}`, { megabytes: Math.round(bytes / 1e4) / 100, import: coldImport(name as FunctionName) });
}
const stack = await startMiniStack(scratch);
try {
  const began = performance.now();
  await skiff(['deploy', '--endpoint', stack.endpoint, '--data', data]);
  say('deploy', { seconds: Math.round((performance.now() - began) / 100) / 10 });
  running.push(await startSkiff(['front', '--data', data, '--port', '0'], 'export KUBECONFIG', 30_000));
  const token = (await skiff(['node', 'token', '--data', data])).trim();
  const { url } = readDeployment(data);
  const joining = [
    'node',
    'join',
    '--server',
    url,
    '--token',
    token,
    '--runtime',
    'hollow',
    '--name',
    'edge-1',
    '--data',
    join(scratch, 'edge'),
  ];
  running.push(await startSkiff(joining, 'node edge-1 Ready', 60_000));
  const remote = connectClient(readAccess(data));
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const ms = await toReady(remote.client, `web-${i}`);
    // The first ones start the functions.
    if (i >= 3) times.push(ms);
  }
  remote.close();
  times.sort((a, b) => a - b);
  // Deployment -> stream, queue -> replica set -> stream, queue -> pod -> stream, queue -> binding -> node -> status.
  say('first pod Ready', {
    rounds: times.length,
    medianMs: Math.round(median(times)),
    maxMs: Math.round(times.at(-1) ?? 0),
    hops: 6,
  });
} finally {
  for (const one of running.reverse()) await one.stop();
  await stack.stop();
  rmSync(scratch, { recursive: true, force: true });
}
process.exit(0);
