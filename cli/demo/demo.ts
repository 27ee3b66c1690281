import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Node } from '../../functions/machinery/kinds.d.ts';
import { connectClient, type RemoteClient, readAccess } from '../access.ts';
import { CommandError, parse } from '../command.ts';
import { takeDown } from '../down.ts';
import { loadImages } from '../image/load.ts';
import { type RuntimeName, runtimeFor } from '../runtime-choice.ts';
import { ensureContainerTools, mayInstall } from '../setup.ts';
import { DEFAULT_PORT, readUpOptions, type UpOptions, upOptions } from '../up.ts';
import { type DemoContext, isNodeReady, NODES } from './context.ts';
import { redisImage, webImage } from './images.ts';
import { runSteps, type Step, StepFailure, waitFor } from './progress.ts';
import { applicationSteps } from './steps.ts';

const NODE_PORT = 30080;

interface DemoState extends DemoContext {
  options: UpOptions;
  runtime: RuntimeName;
  remote: RemoteClient | undefined;
}

const tools: Step<DemoState> = {
  name: 'what containers need: containerd, runc, CNI plugins, nftables',
  run: async ({ options }, say) => {
    const installed = await ensureContainerTools({ yes: mayInstall(options.yes), say });
    return installed.length > 0 ? `installed ${installed.join(' ')}` : 'everything is here';
  },
};

const up: Step<DemoState> = {
  name: 'start the control plane and a node',
  run: async (state, say) => {
    const { options } = state;
    const main = join(import.meta.dirname, '../main.ts');
    const args = ['up', '--detach', '--data', options.directory, '--port', String(options.port), '--nodes', '1'];
    args.push('--runtime', state.runtime, '--yes');
    const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, main, ...args], {
      encoding: 'utf8',
    });
    for (const line of stdout.trim().split('\n').filter(Boolean)) say(line);
    if (status !== 0) throw new Error(stderr.trim() || `up ended with ${status}`);
    state.access = readAccess(options.directory);
    state.remote = connectClient(readAccess(options.directory));
    state.client = state.remote.client;
    const node = await waitFor('a Ready node', 30_000, async () =>
      (await state.client.list<Node>(NODES)).items.find(isNodeReady),
    );
    return `node ${node.metadata.name} is Ready`;
  },
};

const images: Step<DemoState> = {
  name: 'make the images from what this machine has: redis-server, node',
  run: async (state, say) => {
    const redis = redisImage();
    try {
      const specs = [redis.spec, webImage('1'), webImage('2')];
      const loaded = await loadImages(state.options.directory, state.runtime, specs, say);
      return `${loaded} images loaded`;
    } finally {
      redis.done();
    }
  },
};

const steps: readonly Step<DemoState>[] = [tools, up, images, ...applicationSteps];

const tidyUp = async (state: DemoState, keep: boolean): Promise<void> => {
  state.remote?.close();
  if (keep) {
    const { directory } = state.options;
    console.log(
      `kept: export KUBECONFIG=${directory}/kubeconfig; take it down with ./skiff down --purge --data ${directory}`,
    );
    return;
  }
  await takeDown(state.options.directory, { purge: true, say: () => {} });
};

/** `skiff demo [--yes] [--keep] [--runtime R] [--data DIR] [--port P]`: exit 0 when every step was seen to work. */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, { ...upOptions, keep: { type: 'boolean' } });
  const directory = values.data ?? mkdtempSync(join(tmpdir(), 'skiff-demo-'));
  const options = readUpOptions({ port: String(DEFAULT_PORT), ...values, data: directory });
  const runtime = await runtimeFor(options.runtime);
  if (runtime === 'hollow') {
    throw new CommandError(
      'the demo shows real containers: --runtime hollow runs none; try ./skiff up --runtime hollow',
    );
  }
  const url = `http://127.0.0.1:${NODE_PORT}`;
  const nowhere = { server: '', caCert: '', token: '' };
  const unconnected = undefined as unknown as DemoContext['client'];
  const state: DemoState = { options, runtime, remote: undefined, client: unconnected, access: nowhere, url };
  const began = performance.now();
  let failure: StepFailure | undefined;
  const interrupted = () => void tidyUp(state, false).finally(() => process.exit(130));
  process.once('SIGINT', interrupted);
  try {
    await runSteps(steps, state, console.log);
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    failure = error;
    console.error(`demo: failed at "${error.step}": ${error.message}`);
  } finally {
    process.off('SIGINT', interrupted);
    await tidyUp(state, values.keep === true);
  }
  if (failure) return 1;
  console.log(`demo: ok (${steps.length} steps, ${((performance.now() - began) / 1000).toFixed(1)} s)`);
  return 0;
};
