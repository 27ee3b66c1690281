import { performance } from 'node:perf_hooks';

/** One step of the demo. It may say what it is doing, and returns what it saw. */
export interface Step<Context> {
  name: string;
  run(context: Context, say: (line: string) => void): Promise<string>;
}

export class StepFailure extends Error {
  readonly step: string;
  constructor(step: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.step = step;
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** Runs the steps in order, a line when one begins, the lines it says, and a line with its time when it ends. */
export const runSteps = async <Context>(
  steps: readonly Step<Context>[],
  context: Context,
  print: (line: string) => void,
): Promise<void> => {
  for (const [i, step] of steps.entries()) {
    const head = `[${String(i + 1).padStart(2)}/${steps.length}]`;
    print(`${head} ${step.name}`);
    const began = performance.now();
    try {
      const seen = await step.run(context, (line) => print(`        ${line}`));
      print(`        ok: ${seen} (${seconds(performance.now() - began)})`);
    } catch (error) {
      throw new StepFailure(step.name, error);
    }
  }
};

/** Asks again until the answer is there; after `timeoutMs` throws what it was waiting for and what it last saw. */
export const waitFor = async <T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
  lastSeen: () => string = () => '',
): Promise<T> => {
  const until = performance.now() + timeoutMs;
  let failure = '';
  while (performance.now() < until) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
      failure = '';
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const seen = [lastSeen(), failure].filter(Boolean).join('; ');
  throw new Error(`${what} did not come within ${seconds(timeoutMs)}${seen ? ` (${seen})` : ''}`);
};
