import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { createCriRuntime } from '../../agent/runtime/cri.ts';
import { createHollowRuntime } from '../../agent/runtime/hollow.ts';
import { createNerdctlRuntime } from '../../agent/runtime/nerdctl.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { runtimeContract } from './runtime.ts';
import { containerdPlace, lacksContainerd, nerdctlCommand } from './runtime-place.ts';

runtimeContract(
  'hollow',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'skiff-runtime-'));
    const runtime = createHollowRuntime({ clock: createSystemClock(), podCidr: '10.199.214.0/24' });
    return {
      open: async () => runtime,
      directory,
      cgroupParent: '',
      leftovers: () => [],
      remove: async () => rmSync(directory, { recursive: true, force: true }),
    };
  },
  { processes: 'nothing runs in a hollow pod', restart: 'its records end with the process' },
);

const lacks = lacksContainerd();
const cri = () => containerdPlace((directory) => createCriRuntime({ socket: join(directory, 'containerd.sock') }));

// By hand a machine without containers skips; in CI it must have them (`node test/setup.ts` installs them).
if (lacks === undefined) runtimeContract('cri', cri);
else if (process.env.CI === 'true') it('has what the cri contract needs', () => Promise.reject(new Error(lacks)));
else describe.skip(`runtime contract: cri (${lacks})`, () => it('needs containers', () => {}));

const command = nerdctlCommand();
if (lacks === undefined && command !== undefined) {
  runtimeContract(
    'nerdctl',
    () =>
      containerdPlace((directory) =>
        createNerdctlRuntime({ socket: join(directory, 'containerd.sock'), directory, command }),
      ),
    {
      imageMounts: 'nerdctl mounts no images',
      attachStdin: 'nerdctl run -d gives a container no input',
      hostname: 'nerdctl sets HOSTNAME to nothing in a container that joins a network',
    },
  );
} else {
  const reason = lacks ?? 'nerdctl is in no package registry: put its release on the PATH or name it in NERDCTL';
  describe.skip(`runtime contract: nerdctl (${reason})`, () => it('needs nerdctl', () => {}));
}
