import { readFileSync } from 'node:fs';

/**
 * When a process started, in clock ticks since boot: tells it from a later one with the same id. Undefined when there is
 * none, or only a zombie that nobody reaps. Source: proc_pid_stat(5), fields 3 and 22.
 */
export const processStart = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
};
