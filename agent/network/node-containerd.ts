import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processStart } from '../process-start.ts';

const START_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;
const CAP_SYS_RESOURCE = 24n;

export interface NodeContainerd {
  /** CRI and containerd API, a Unix socket. */
  socket: string;
  pid: number;
  stop(): Promise<void>;
}

export interface NodeContainerdOptions {
  /** Folder of this node: root, state, configuration, log. */
  directory: string;
  /** Network namespace it runs in, so that its streaming server and the CNI plugins are the node's. */
  netns: string;
  cniDirectory: string;
  sandboxImage: string;
}

/** Where Debian and the upstream archives put the plugins. */
const CNI_BIN =
  ['/usr/lib/cni', '/opt/cni/bin'].find((folder) => existsSync(join(folder, 'host-local'))) ?? '/usr/lib/cni';

/** A root without this capability cannot lower oom_score_adj, and then no sandbox starts (facts/containers.md). */
const lacksSysResource = (): boolean => {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & (1n << CAP_SYS_RESOURCE)) === 0n;
};

const socketPath = (directory: string): string => join(directory, 'containerd.sock');

const configuration = (o: NodeContainerdOptions): string => {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = "${join(o.directory, 'root')}"
state = "${join(o.directory, 'state')}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${socketPath(o.directory)}"
[${cri}]
  sandbox_image = "${o.sandboxImage}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  restrict_oom_score_adj = ${lacksSysResource()}
  [${cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [${cri}.containerd.runtimes.runc.options]
      SystemdCgroup = false
  [${cri}.cni]
    bin_dir = "${CNI_BIN}"
    conf_dir = "${o.cniDirectory}"
`;
};

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

const pidFile = (directory: string): string => join(directory, 'containerd.pid');

/** The containerd that an earlier process left running for this folder; undefined when there is none. */
const adopted = (directory: string): number | undefined => {
  if (!existsSync(pidFile(directory))) return undefined;
  const [pid = '', start = ''] = readFileSync(pidFile(directory), 'utf8').trim().split(' ');
  return start !== '' && processStart(Number(pid)) === start ? Number(pid) : undefined;
};

const launch = (options: NodeContainerdOptions): number => {
  const { directory } = options;
  const config = join(directory, 'containerd.toml');
  writeFileSync(config, configuration(options));
  const log = openSync(join(directory, 'containerd.log'), 'a');
  const child = spawn('nsenter', [`--net=${options.netns}`, 'containerd', '--config', config], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.on('error', () => {});
  child.unref();
  if (child.pid === undefined) throw new Error('containerd could not be started: is it installed?');
  writeFileSync(pidFile(directory), `${child.pid} ${processStart(child.pid) ?? ''}`);
  return child.pid;
};

const lastLogLine = (directory: string): string =>
  readFileSync(join(directory, 'containerd.log'), 'utf8').trim().split('\n').at(-1) ?? '';

/**
 * containerd of one local node. It and its shims outlive the process that started them: the next one adopts it, so that
 * no container is restarted by a restart of ours. Rejects with the last line of its log when it does not come up.
 */
export const startNodeContainerd = async (options: NodeContainerdOptions): Promise<NodeContainerd> => {
  const { directory } = options;
  mkdirSync(directory, { recursive: true });
  const pid = adopted(directory) ?? launch(options);
  const until = Date.now() + START_MS_MAX;
  while (!(await answers(socketPath(directory)))) {
    if (processStart(pid) === undefined || Date.now() > until) {
      throw new Error(`containerd did not start: ${lastLogLine(directory)}`);
    }
    await delay(25);
  }
  return { socket: socketPath(directory), pid, stop: () => stopNodeContainerd(directory) };
};

/** Ends the containerd of this folder, if it runs. Containers must be gone before: shims do not end with it. */
export const stopNodeContainerd = async (directory: string): Promise<void> => {
  const pid = adopted(directory);
  if (pid === undefined) return;
  process.kill(pid, 'SIGTERM');
  const until = Date.now() + STOP_MS_MAX;
  while (processStart(pid) !== undefined && Date.now() < until) await delay(25);
  if (processStart(pid) !== undefined) process.kill(pid, 'SIGKILL');
  rmSync(pidFile(directory), { force: true });
};
