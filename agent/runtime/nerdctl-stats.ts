import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const MACHINE = { groups: '/sys/fs/cgroup', processes: '/proc' };

const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
const numberIn = (text: string, key: string): number => Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);

/** Where a process is in each hierarchy: `''` for the unified one (v2), else by controller (v1). */
const groupsOf = (text: string): Map<string, string> => {
  const found = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) found.set(controller, path);
  }
  return found;
};

export interface GroupUse {
  cpuNanos: number;
  memoryWorkingSetBytes: number;
}

/** What the cgroups of a process have used: processor time, and memory less what can be dropped. v1 and v2. */
export const useOf = async (pid: number, at = MACHINE): Promise<GroupUse | undefined> => {
  const groups = groupsOf(await read(join(at.processes, String(pid), 'cgroup')));
  const memory = groups.get('memory');
  const cpu = groups.get('cpuacct');
  if (memory !== undefined && cpu !== undefined) {
    const folder = join(at.groups, 'memory', memory);
    const [used, stat, nanos] = await Promise.all([
      read(join(folder, 'memory.usage_in_bytes')),
      read(join(folder, 'memory.stat')),
      read(join(at.groups, 'cpuacct', cpu, 'cpuacct.usage')),
    ]);
    if (used === '') return undefined;
    const working = Number(used) - numberIn(stat, 'total_inactive_file');
    return { cpuNanos: Number(nanos), memoryWorkingSetBytes: Math.max(0, working) };
  }
  const unified = groups.get('');
  if (unified === undefined) return undefined;
  const folder = join(at.groups, unified);
  const [used, stat, cpuStat] = await Promise.all([
    read(join(folder, 'memory.current')),
    read(join(folder, 'memory.stat')),
    read(join(folder, 'cpu.stat')),
  ]);
  if (used === '') return undefined;
  return {
    cpuNanos: numberIn(cpuStat, 'usage_usec') * 1000,
    memoryWorkingSetBytes: Math.max(0, Number(used) - numberIn(stat, 'inactive_file')),
  };
};
