import { join } from 'node:path';
import type { Runtime } from '../agent/runtime/runtime.ts';

/** Opens the runtime of a local node's folder: containerd's CRI, or nerdctl on the same containerd. */
export const openRuntime = async (name: 'cri' | 'nerdctl', directory: string): Promise<Runtime> => {
  const socket = join(directory, 'containerd.sock');
  if (name === 'cri') {
    const { createCriRuntime } = await import('../agent/runtime/cri.ts');
    return createCriRuntime({ socket });
  }
  const { createNerdctlRuntime } = await import('../agent/runtime/nerdctl.ts');
  return createNerdctlRuntime({ socket, directory });
};
