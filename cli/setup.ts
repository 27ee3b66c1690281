import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { CommandError } from './command.ts';

/** A program, or any of some files, that a node with containers needs, and the Debian package that brings it. */
export interface PackageNeed {
  package: string;
  anyOf: string[];
}

export const onPath = (program: string): string[] =>
  [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'].map((folder) => `${folder}/${program}`);

const NEEDS: readonly PackageNeed[] = [
  { package: 'containerd', anyOf: onPath('containerd') },
  { package: 'runc', anyOf: onPath('runc') },
  { package: 'containernetworking-plugins', anyOf: ['/usr/lib/cni/ptp', '/opt/cni/bin/ptp'] },
  { package: 'nftables', anyOf: onPath('nft') },
  { package: 'iptables', anyOf: onPath('iptables') },
  { package: 'iproute2', anyOf: onPath('ip') },
  { package: 'conntrack', anyOf: onPath('conntrack') },
];

/** The Debian packages that this machine lacks to run containers, in install order. */
export const missingPackages = (needs: readonly PackageNeed[] = NEEDS): string[] =>
  needs.filter((n) => !n.anyOf.some((path) => existsSync(path))).map((n) => n.package);

const HOLLOW = 'or take --runtime hollow, which runs no containers';

const confirm = async (question: string): Promise<boolean> => {
  if (!process.stdin.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
};

const apt = (args: string[]): void => {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, stderr } = spawnSync('apt-get', args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) {
    const why = stderr?.toString().trim().split('\n').at(-1) ?? '';
    throw new CommandError(`apt-get ${args[0]} failed: ${why}`);
  }
};

/** Installs packages without starting the services they bring: a policy that Debian asks first. */
const install = (packages: string[]): void => {
  apt(['update', '-qq']);
  apt(['install', '-y', '-qq', '--no-install-recommends', ...packages]);
};

/**
 * Sees to it that containers can run here: asks before it installs anything, unless `yes`. Throws one line that says what is
 * missing, and what to do, where it may not or cannot. Returns what it installed.
 */
export const ensureContainerTools = async (options: {
  yes: boolean;
  say: (line: string) => void;
  /** Besides what a node needs: what the tests use. */
  more?: readonly PackageNeed[];
}): Promise<string[]> => {
  const needs = [...NEEDS, ...(options.more ?? [])];
  if (process.getuid?.() !== 0) {
    throw new CommandError(`containers need root (network namespaces, mounts): run as root, ${HOLLOW}`);
  }
  const missing = missingPackages(needs);
  if (missing.length === 0) return [];
  const list = missing.join(' ');
  if (!existsSync('/usr/bin/apt-get')) {
    throw new CommandError(`missing: ${list}. Install them by your system's means (there is no apt here), ${HOLLOW}`);
  }
  if (!options.yes && !(await confirm(`skiff needs these Debian packages: ${list}. Install them now?`))) {
    throw new CommandError(`missing: ${list}. Run again with --yes to install them, ${HOLLOW}`);
  }
  options.say(`installing ${list}`);
  install(missing);
  const still = missingPackages(needs);
  if (still.length > 0) throw new CommandError(`apt installed without an error, but still missing: ${still.join(' ')}`);
  return missing;
};

/** `--yes`, or CI=true. */
export const mayInstall = (yes: boolean | undefined): boolean => yes === true || process.env.CI === 'true';
