// What a thousand clusters cost an embedded server that nobody asks about them.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { administrator } from '../../cli/administrator.ts';
import { readState } from '../../cli/directory.ts';
import { CLUSTERS } from '../../functions/fleet/deletion.ts';
import { freePort } from '../free-port.ts';

const scratch = mkdtempSync(join(tmpdir(), 'skiff-idle-test-'));
const data = join(scratch, 'data');
const skiff = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, '../../cli/main.ts'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, HOME: scratch, NODE_OPTIONS: '--expose-gc' },
    timeout: 60_000,
  });

const WARM = 200;
const CLUSTERS_MAX = 1000;
const WATCHED_MS = 4_000;
/** Clock ticks per second, of every Linux that Node runs on. */
const TICKS = 100;
/** Per cluster: its object, its index and its place in the log are about 4 KB in the store's memory and the replica's. */
const KB_PER_CLUSTER_MAX = 40;
/** Of one core: what the server does without any cluster, and the noise of a busy machine. */
const SHARE_MORE_MAX = 0.03;

const residentKb = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
const cpuMs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
};
const shareOf = async (pid: number): Promise<number> => {
  const before = cpuMs(pid);
  await delay(WATCHED_MS);
  return (cpuMs(pid) - before) / WATCHED_MS;
};

describe('a thousand idle clusters', () => {
  beforeAll(async () => {
    const port = String(await freePort());
    const up = skiff('up', '--detach', '--runtime', 'hollow', '--nodes', '0', '--data', data, '--port', port);
    if (up.status !== 0) throw new Error(up.stderr + up.stdout);
  }, 60_000);
  afterAll(() => {
    skiff('down', '--data', data, '--purge');
    rmSync(scratch, { recursive: true, force: true });
  }, 60_000);

  it('add no work and next to no memory to an embedded server', async () => {
    const pid = readState(data)?.pid ?? 0;
    const admin = await administrator(data);
    const fleet = admin.client('system');
    const make = async (prefix: string, count: number): Promise<void> => {
      for (let i = 0; i < count; i++)
        await fleet.create(CLUSTERS, {
          apiVersion: 'skiff.dev/v1',
          kind: 'Cluster',
          metadata: { name: `${prefix}-${i}` },
        });
    };
    // Code that is compiled, and memory that the first requests take, are there before.
    await make('warm', WARM);
    await delay(3_000);
    const [memory, share] = [residentKb(pid), await shareOf(pid)];
    await make('idle', CLUSTERS_MAX);
    await delay(3_000);
    const more = { kb: residentKb(pid) - memory, share: (await shareOf(pid)) - share };
    console.log(
      `1,000 idle clusters: ${(more.kb / 1024).toFixed(1)} MB, ${(more.share * 100).toFixed(1)} % of a core more`,
    );
    expect(more.kb).toBeLessThan(CLUSTERS_MAX * KB_PER_CLUSTER_MAX);
    expect(more.share).toBeLessThan(SHARE_MORE_MAX);
    admin.close();
  }, 120_000);
});
