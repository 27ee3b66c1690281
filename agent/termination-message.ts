import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../functions/machinery/kinds.d.ts';
import { parseLogLine } from './logs.ts';
import { specContainers } from './observed.ts';
import { podLogDirectory, terminationFile } from './operations.ts';

const fileBytesMax = 4096;
const logBytesMax = 2048;
const logLinesMax = 80;
const readText = (path: string): Buffer => {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
};

/** What an ended container left: its termination message file, or with FallbackToLogsOnError the end of its log. */
export const terminationMessage = (
  directories: { dataDir: string; logDir: string },
  pod: Pod,
  run: { name: string; attempt: number; exitCode?: number },
): string | undefined => {
  const container = specContainers(pod).find((s) => s.container.name === run.name)?.container;
  const file = terminationFile(directories.dataDir, pod.metadata.uid ?? '', run.name, run.attempt);
  const left = readText(file).subarray(0, fileBytesMax).toString('utf8');
  if (left || container?.terminationMessagePolicy !== 'FallbackToLogsOnError' || run.exitCode === 0)
    return left || undefined;
  const log = readText(join(podLogDirectory(directories.logDir, pod), run.name, `${run.attempt}.log`)).toString('utf8');
  const lines = log.split('\n').filter(Boolean).slice(-logLinesMax);
  const text = lines
    .map((line) => parseLogLine(Buffer.from(line)))
    .map((line) => (line ? `${line.content.toString('utf8')}${line.partial ? '' : '\n'}` : ''))
    .join('');
  return text ? Buffer.from(text).subarray(-logBytesMax).toString('utf8') : undefined;
};
