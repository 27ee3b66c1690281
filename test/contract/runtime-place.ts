import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeCniConfiguration } from '../../agent/network/cni.ts';
import { startNodeContainerd } from '../../agent/network/node-containerd.ts';
import type { Runtime } from '../../agent/runtime/runtime.ts';
import { buildImage } from '../../cli/image/build.ts';
import { PAUSE_IMAGE, pauseImage } from '../../cli/image/pause.ts';

export const BUSYBOX_IMAGE = 'skiff.local/contract:1';
const BUSYBOX = '/bin/busybox';
/** What runs without any pod: containerd, and what listens to its events. */
const OWN_PROCESS = /containerd --config | events --format /;
const POD_CIDR = '10.199.213.0/24';

/** One node to run containers on, whose runtime can be opened as often as a test wants. */
export interface RuntimePlace {
  open(): Promise<Runtime>;
  /** Folder for logs and mounts. */
  directory: string;
  /** An archive of an image with a shell, named BUSYBOX_IMAGE; absent where nothing runs. */
  archive?: string;
  cgroupParent: string;
  /** What is left of pods on the machine: mounts, network namespaces, addresses, links, cgroups, processes. */
  leftovers(): string[];
  remove(): Promise<void>;
}

const onPath = (program: string): boolean =>
  (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, program)));

/** Why no containerd can be run here; undefined when it can. */
export const lacksContainerd = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'containers need root';
  for (const program of ['containerd', 'runc', 'nsenter', 'nft'])
    if (!onPath(program)) return `${program} is not installed`;
  if (!['/usr/lib/cni', '/opt/cni/bin'].some((folder) => existsSync(join(folder, 'ptp'))))
    return 'the CNI plugins are not installed';
  if (!existsSync(BUSYBOX)) return 'busybox-static is not installed';
  return undefined;
};

/** The nerdctl to test: NERDCTL names its executable, else that of the PATH. */
export const nerdctlCommand = (): string | undefined => {
  const named = process.env.NERDCTL;
  if (named) return existsSync(named) ? named : undefined;
  return onPath('nerdctl') ? 'nerdctl' : undefined;
};

const run = (command: string, ...args: string[]): string => spawnSync(command, args, { encoding: 'utf8' }).stdout ?? '';

const busyboxArchive = async (directory: string): Promise<string> => {
  const folder = join(directory, 'image');
  mkdirSync(folder, { recursive: true });
  copyFileSync(BUSYBOX, join(folder, 'busybox'));
  for (const applet of run(BUSYBOX, '--list').split('\n')) {
    if (applet !== '' && applet !== 'busybox') symlinkSync('busybox', join(folder, applet));
  }
  const path = join(directory, 'contract.tar');
  await buildImage({ name: BUSYBOX_IMAGE, files: [{ path: '/bin', source: folder }] }, path);
  return path;
};

/** Folders below a cgroup of every hierarchy. */
const cgroupsBelow = (parent: string): string[] => {
  const roots = ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))];
  return roots
    .map((root) => join(root, parent))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `cgroup ${join(folder, entry.name)}`),
    );
};

const linesWith = (text: string, word: string, kind: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.includes(word))
    .map((line) => `${kind} ${line}`);

/**
 * A containerd of its own, in this process' network namespace, where the CRI's streaming server must be to be reached.
 * `open` is given its folder, which has its socket.
 */
export const containerdPlace = async (open: (directory: string) => Runtime): Promise<RuntimePlace> => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-runtime-'));
  const name = `skiff-contract-${process.pid}`;
  const cniDirectory = writeCniConfiguration(directory, POD_CIDR);
  const containerd = await startNodeContainerd({
    directory,
    netns: '/proc/self/ns/net',
    cniDirectory,
    sandboxImage: PAUSE_IMAGE,
  });
  const runtime = open(directory);
  const pause = join(directory, 'pause.tar');
  await buildImage(pauseImage(), pause);
  await runtime.images.load(createReadStream(pause));
  await runtime.close();
  const cgroupParent = `/${name}`;
  const namespacesBefore = run('ip', 'netns', 'list');
  return {
    open: async () => open(directory),
    directory,
    archive: await busyboxArchive(directory),
    cgroupParent,
    leftovers: () => [
      ...linesWith(readFileSync('/proc/self/mounts', 'utf8'), join(directory, 'state'), 'mount'),
      ...linesWith(run('ip', 'netns', 'list'), 'cni-', 'namespace').filter(
        (line) => !namespacesBefore.includes(line.slice(10)),
      ),
      ...linesWith(run('ip', 'route'), POD_CIDR.slice(0, 10), 'route'),
      ...linesWith(run('ps', '-eo', 'args'), directory, 'process').filter((line) => !OWN_PROCESS.test(line)),
      ...readdirSync(join(directory, 'cni-state', 'skiff'))
        .filter((file) => /^\d/.test(file))
        .map((file) => `address ${file}`),
      ...cgroupsBelow(cgroupParent),
    ],
    remove: async () => {
      const last = open(directory);
      for (const sandbox of await last.sandboxes()) await last.removeSandbox(sandbox.id).catch(() => {});
      await last.close();
      await containerd.stop();
      for (const root of ['', ...readdirSync('/sys/fs/cgroup')]) rmdirQuietly(join('/sys/fs/cgroup', root, name));
      rmSync(directory, { recursive: true, force: true });
    },
  };
};

const rmdirQuietly = (folder: string): void => {
  if (existsSync(folder)) run('rmdir', folder);
};
