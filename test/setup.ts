// The set-up step of the tests: sees to what they need beyond npm's packages, and says what will be skipped without it.
//   node test/setup.ts [--yes]      asks before it installs; with --yes or CI=true it does not ask
// Exit code 0, also where tests will be skipped; with CI=true, where nothing may be skipped, 1.
import { existsSync } from 'node:fs';
import { CommandError } from '../cli/command.ts';
import { ensureContainerTools, mayInstall, type PackageNeed, onPath as placesOf } from '../cli/setup.ts';

/** What a test needs from the machine, and what is skipped without it. */
interface Need {
  skipped: string;
  /** Why it is not there; undefined when it is. */
  missing(): Promise<string | undefined>;
}

const yes = mayInstall(process.argv.includes('--yes'));
const onPath = (program: string): boolean =>
  (process.env.PATH ?? '').split(':').some((folder) => existsSync(`${folder}/${program}`));

/** Programs of the contracts' images, and the Java of DynamoDB Local. */
const packages: readonly PackageNeed[] = [
  { package: 'busybox-static', anyOf: ['/bin/busybox'] },
  { package: 'openjdk-17-jre-headless', anyOf: placesOf('java') },
];

const needs: readonly Need[] = [
  {
    skipped: 'with containers: test/e2e/demo.test.ts, test/e2e/network.test.ts, test/contract/runtime.test.ts (cri)',
    missing: async () => {
      try {
        await ensureContainerTools({ yes, say: console.log, more: packages });
        return undefined;
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        return error.message;
      }
    },
  },
  {
    skipped: 'end to end with kubectl: test/e2e/kubectl.test.ts',
    missing: async () =>
      onPath('kubectl') ? undefined : 'kubectl is not on the PATH: install its release, 1.30 or newer',
  },
];

let skipped = 0;
for (const need of needs) {
  const missing = await need.missing();
  if (missing === undefined) continue;
  skipped++;
  console.log(`${missing}\n  skipped without it: ${need.skipped}`);
}
if (skipped === 0) console.log('everything that the tests need is here');
process.exitCode = skipped > 0 && process.env.CI === 'true' ? 1 : 0;
