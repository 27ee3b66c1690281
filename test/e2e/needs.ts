import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'vitest';
import { missingPackages } from '../../cli/setup.ts';

/** Why containers cannot run here; undefined when they can. */
export const containersMissing = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'containers need root';
  const missing = missingPackages();
  return missing.length > 0 ? `these packages are missing: ${missing.join(' ')}` : undefined;
};

export const onPath = (program: string): boolean =>
  (process.env.PATH ?? '').split(':').some((folder) => existsSync(`${folder}/${program}`));

export const kubectlMissing = (): string | undefined => (onPath('kubectl') ? undefined : 'kubectl is not on the PATH');

/** `describe` for tests that need something of the machine: skipped with the reason by hand, failed with CI=true. */
export const describeWith = (missing: string | undefined, name: string, body: () => void): void => {
  if (missing === undefined) {
    describe(name, body);
  } else if (process.env.CI === 'true') {
    describe(name, () => {
      it('finds what it needs', () => {
        throw new Error(missing);
      });
    });
  } else {
    console.log(`skipped: ${name}: ${missing}`);
    describe.skip(`${name} (skipped: ${missing})`, body);
  }
};

const processes = (text: string): { pid: number; text: string }[] =>
  readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const all = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return all.includes(text) ? [{ pid, text: all }] : [];
    } catch {
      return [];
    }
  });

/** Ids of the processes that have a text in their arguments. */
export const processesWith = (text: string): number[] => processes(text).map(({ pid }) => pid);

/** The arguments of those processes, each with a zero after it. */
export const argumentsWith = (text: string): string[] => processes(text).map((one) => one.text);
