// Transcripts: shell commands and what they answer, as in a terminal.
//
//   $ kubectl create configmap one      a command, run by bash in the transcript's folder
//   > more of the command               its next lines
//   configmap/one created               its output, both streams, normalised
//   [exit 1]                            its exit code, where that is not 0
//
// In what is expected <*> stands for any text within a line, and a line <...> for any lines. $ID is a name of the run's own:
// the namespace of the context, and what names outside of namespaces begin with.
import { run } from '../server.ts';

export interface Step {
  command: string;
  /** Lines. */
  expected: string[];
}

export const parseTranscript = (text: string): Step[] => {
  const steps: Step[] = [];
  for (const line of text.trimEnd().split('\n')) {
    const last = steps.at(-1);
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), expected: [] });
    else if (!last) throw new Error(`a transcript begins with a command, not with ${line}`);
    else if (line.startsWith('> ') || line === '>') last.command += `\n${line.slice(2)}`;
    else last.expected.push(line);
  }
  return steps;
};

export const formatStep = ({ command, expected }: Step): string =>
  [`$ ${command.replaceAll('\n', '\n> ')}`, ...expected].join('\n');

const normalised = (text: string, id: string): string[] => {
  const out = text
    .replaceAll(id, '$ID')
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<uid>')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>')
    .replace(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000/g, '<time>')
    .replace(/\b10\.\d+\.\d+\.\d+/g, '<ip>')
    .replace(/127\.0\.0\.1:\d+/g, '<server>')
    .replace(/(?<=\b\d+:)3\d{4}(?=\/)/g, '<port>')
    .replace(/("?resourceVersion"?: )"\d+"/g, '$1<version>')
    .replace(/(?<=\s|^|\()(\d+d)?(\d+h)?(\d+m)?\d+s(?=\s|$|\))/gm, '<age>')
    .replace(/(?<=[a-z0-9])-[bcdfghjklmnpqrstvwxz2-9]{6,10}(-[bcdfghjklmnpqrstvwxz2-9]{5})?\b/g, '-<hash>')
    .replace(/pod-template-hash=\w+/g, 'pod-template-hash=<hash>')
    .replace(/[ \t]+/g, ' ');
  return out.trim() === ''
    ? []
    : out
        .trimEnd()
        .split('\n')
        .map((line) => line.trimEnd());
};

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const fits = (pattern: string, line: string): boolean =>
  new RegExp(`^${pattern.split('<*>').map(escaped).join('.*')}$`).test(line);

/** What was expected where the lines fit it, the lines themselves where they do not. */
export const reconciled = (expected: readonly string[], lines: readonly string[]): string[] => {
  const out: string[] = [];
  let at = 0;
  for (const [i, pattern] of expected.entries()) {
    if (pattern === '<...>') {
      const next = expected[i + 1];
      while (at < lines.length && (next === undefined || !fits(next, lines[at] ?? ''))) at++;
      out.push(pattern);
      continue;
    }
    const line = lines[at];
    if (line === undefined) break;
    out.push(fits(pattern, line) ? pattern : line);
    at++;
  }
  return [...out, ...lines.slice(at)];
};

export interface Shell {
  /** A folder of the transcript's own. */
  folder: string;
  kubeconfig: string;
  /** A folder whose kubectl is the one to use. */
  bin: string;
  id: string;
}

/** Runs a command and answers its normalised lines. */
export const perform = async (command: string, { folder, kubeconfig, bin, id }: Shell): Promise<string[]> => {
  const env = {
    KUBECONFIG: kubeconfig,
    HOME: folder,
    ID: id,
    PATH: `${bin}:${process.env.PATH}`,
    EDITOR: 'true',
    LC_ALL: 'C',
    KUBECTL_KUBERC: 'false',
  };
  const { code, all } = await run('bash', ['-c', command], { env, cwd: folder, ms: 30_000 });
  const lines = normalised(all, id);
  return code === 0 ? lines : [...lines, `[exit ${code}]`];
};
