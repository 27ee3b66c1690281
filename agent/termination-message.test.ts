import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { Pod } from '../functions/machinery/kinds.d.ts';
import { podLogDirectory, terminationFile } from './operations.ts';
import { terminationMessage } from './termination-message.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'skiff-termination-'));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const directories = { dataDir, logDir: join(dataDir, 'logs') };

const podWith = (uid: string, terminationMessagePolicy: string, log: string[], file = ''): Pod => {
  const pod: Pod = {
    metadata: { namespace: 'ns', name: uid, uid },
    spec: { containers: [{ name: 'c', terminationMessagePolicy }] },
  };
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  write(terminationFile(dataDir, uid, 'c', 0), file);
  const lines = log.map((line) => `2026-01-01T00:00:00Z stdout ${line}\n`);
  write(join(podLogDirectory(directories.logDir, pod), 'c', '0.log'), lines.join(''));
  return pod;
};
const failed = { name: 'c', attempt: 0, exitCode: 1 };
const ALSO_LOG = 'FallbackToLogsOnError';

it.each([
  ['the file comes first', ALSO_LOG, ['F log'], 'file', failed, 'file'],
  ['a log that ends without a newline', ALSO_LOG, ['F one', 'P DONE'], '', failed, 'one\nDONE'],
  ['pieces of one line', ALSO_LOG, ['P ab', 'F c'], '', failed, 'abc\n'],
  ['a container that did not fail', ALSO_LOG, ['F log'], '', { ...failed, exitCode: 0 }, undefined],
  ['the other policy', 'File', ['F log'], '', failed, undefined],
  ['the last 80 lines', ALSO_LOG, Array.from({ length: 90 }, (_, i) => `F ${i}`), '', failed, /^10\n11\n(\d+\n)*89\n$/],
  ['the last 2048 bytes', ALSO_LOG, [`P ${'x'.repeat(3000)}`], '', failed, /^x{2048}$/],
])('%s', (name, policy, log, file, run, expected) => {
  const message = terminationMessage(directories, podWith(name.replaceAll(' ', '-'), policy, log, file), run);
  if (expected instanceof RegExp) expect(message).toMatch(expected);
  else expect(message).toBe(expected);
});
