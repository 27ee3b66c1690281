import { readdirSync, readFileSync } from 'node:fs';

/** The first process of a container, found by its id in the processes' cgroups (containerd, any driver). */
export const processOf = (containerId: string): number => {
  if (!/^[0-9a-f]{12,}$/.test(containerId)) throw new Error(`"${containerId}" is not a container id`);
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
  for (const pid of pids) {
    try {
      if (readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(containerId)) return pid;
    } catch {
      // gone in the meantime
    }
  }
  throw new Error(`no process runs in container ${containerId}`);
};

/** Kills a container as the kernel or a careless operator would. Returns the process id. */
export const killContainer = (containerId: string): number => {
  const pid = processOf(containerId);
  process.kill(pid, 'SIGKILL');
  return pid;
};
