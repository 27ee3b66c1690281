import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const LOGGER = '_NERDCTL_INTERNAL_LOGGING';

const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/**
 * Ends the log writers of a container whose process could not be started: containerd starts one for it, and nerdctl 2.0.5
 * leaves it waiting for ever. `dataRoot` is nerdctl's folder, which its writers are told.
 */
export const endLoggers = async (containerId: string, dataRoot: string): Promise<void> => {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const command = await read(join('/proc', pid, 'cmdline'));
    if (!command.includes(LOGGER) || !command.includes(dataRoot)) continue;
    const environment = (await read(join('/proc', pid, 'environ'))).split('\0');
    if (!environment.includes(`CONTAINER_ID=${containerId}`)) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
};
