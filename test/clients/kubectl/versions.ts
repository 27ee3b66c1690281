// The transcripts in cases/ by one version of kubectl, each in a namespace of its own.
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeTool } from '../describe-tool.ts';
import { run, type Server, startServer } from '../server.ts';
import type { Tool } from '../tools.ts';
import { formatStep, parseTranscript, perform, reconciled, type Shell } from './transcript.ts';

const CASES = join(import.meta.dirname, 'cases');

/** A folder, a kubeconfig and a namespace for one transcript. */
const prepared = async (server: Server, program: string, id: string): Promise<Shell> => {
  const folder = join(server.scratch, id);
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync(program, join(bin, 'kubectl'));
  const shell = { folder, bin, id, kubeconfig: server.ownKubeconfig(id) };
  const env = { KUBECONFIG: shell.kubeconfig, HOME: folder };
  for (const args of [
    ['create', 'namespace', id],
    ['config', 'set-context', '--current', '--namespace', id],
    ['wait', '--for=create', 'serviceaccount/default', '--timeout=20s'],
  ]) {
    const { code, err } = await run(program, args, { env });
    if (code !== 0) throw new Error(err);
  }
  return shell;
};

/** One test a transcript. */
export const describeKubectl = (version: string, tool: Tool): void =>
  describeTool(tool, `kubectl ${version}`, (program) => {
    let server: Server;
    beforeAll(async () => {
      server = await startServer();
    });
    afterAll(() => server?.stop());

    for (const file of readdirSync(CASES).sort())
      it(file, async () => {
        const shell = await prepared(server, program, `t-${file.replace(/\.\w+$/, '')}`);
        const steps = parseTranscript(readFileSync(join(CASES, file), 'utf8'));
        const seen: string[] = [];
        for (const { command, expected } of steps) {
          const lines = await perform(command, shell);
          seen.push(formatStep({ command, expected: reconciled(expected, lines) }));
        }
        expect(seen.join('\n')).toBe(steps.map(formatStep).join('\n'));
      });
  });
