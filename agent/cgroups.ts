import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

const removeTree = async (path: string): Promise<void> => {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(path, entry.name));
  // Still in use, or never there: the next pod that ends tries nothing of it again.
  await rmdir(path).catch(() => {});
};

/**
 * Removes the cgroup directories of a pod, which the runtime leaves behind: in the unified hierarchy (v2) and in every
 * controller's (v1), for whichever quality of service tier it was in.
 */
export const removePodCgroups = async (prefix: string, uid: string, mount = '/sys/fs/cgroup'): Promise<void> => {
  const entries = await readdir(mount, { withFileTypes: true }).catch(() => []);
  const roots = [mount, ...entries.filter((e) => e.isDirectory()).map((e) => join(mount, e.name))];
  for (const root of roots) {
    for (const tier of ['', 'burstable', 'besteffort']) await removeTree(join(root, prefix, tier, `pod${uid}`));
  }
};
