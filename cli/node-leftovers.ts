import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/** Mount points below a folder, deepest first. */
const mountsBelow = (folder: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
    .filter((path) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);

/** Unmounts what a node left below its folder: volumes, snapshots, shared memory of sandboxes. */
export const removeMounts = async (folder: string): Promise<void> => {
  for (const path of mountsBelow(folder)) {
    try {
      execFileSync('umount', ['-l', path], { stdio: 'ignore' });
    } catch {
      // gone meanwhile
    }
  }
};

const removeTree = (folder: string): void => {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  try {
    rmdirSync(folder);
  } catch {
    // a process is still in it
  }
};

/** Removes the cgroups of this name, under every controller (v1) or the one hierarchy (v2). */
export const removeCgroups = (name: string): void => {
  const root = '/sys/fs/cgroup';
  if (!existsSync(root)) return;
  const hierarchies = existsSync(join(root, 'cgroup.controllers'))
    ? [root]
    : readdirSync(root).map((c) => join(root, c));
  for (const hierarchy of hierarchies) {
    const folder = join(hierarchy, name);
    if (existsSync(folder)) removeTree(folder);
  }
};
