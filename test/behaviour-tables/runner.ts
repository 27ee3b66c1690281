// Runs cases against a server, each in a namespace of its own.
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Case, Step } from './cases.ts';
import { differences } from './check.ts';
import type { Answer, Send, Sent } from './client.ts';
import { valueAt, withChanges } from './paths.ts';

export interface Outcome {
  case: Case;
  /** One a line, each with its step's number; none when the case holds. */
  failures: string[];
  /** What each step that ran was answered. */
  answers: Answer[];
}

const RETRY_MS = 100;
const random = (): string => `x${randomBytes(4).toString('hex')}`;

type Kept = Map<string, unknown>;

/** Replaces `$NS`, `$ID`, `${name}` and `$REPEAT(x,n)` in a text; a kept value that is no text is written as JSON. */
const fillText = (text: string, kept: Kept, encode: (text: string) => string = (one) => one): string =>
  text
    .replace(/\$REPEAT\((.),(\d+)\)/g, (_, character: string, times: string) => character.repeat(Number(times)))
    .replace(/\$\{(\w+)\}|\$(NS|ID)/g, (all, inner?: string, outer?: string) => {
      const value = kept.get(inner ?? outer ?? '');
      return value === undefined ? all : encode(typeof value === 'string' ? value : JSON.stringify(value));
    });

const fill = (value: unknown, kept: Kept): unknown => {
  if (typeof value === 'string') {
    const whole = /^\$\{(\w+)\}$/.exec(value)?.[1];
    return whole !== undefined && kept.has(whole) ? kept.get(whole) : fillText(value, kept);
  }
  if (Array.isArray(value)) return value.map((one) => fill(one, kept));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [fillText(key, kept), fill(one, kept)]));
  return value;
};

const bodyOf = (step: Step, bases: Case['bases'], kept: Kept): string | undefined => {
  if (step.send !== undefined) {
    const base = kept.get(step.send) ?? bases[step.send];
    if (base === undefined) throw new Error(`nothing is called "${step.send}"`);
    return JSON.stringify(fill(withChanges(base, step.set), kept));
  }
  if (step.body === undefined) return undefined;
  return typeof step.body === 'string' ? fillText(step.body, kept) : JSON.stringify(fill(step.body, kept));
};

const requestOf = (step: Step, bases: Case['bases'], kept: Kept): Sent => {
  const [method = '', target = ''] = step.do.split(/ (.*)/s);
  const [path = '', query] = target.split(/\?(.*)/s);
  const [as, ...groups] = fillText(step.as ?? '', kept).split(',');
  const body = bodyOf(step, bases, kept);
  const headers: Record<string, string> = {
    ...(step.accept !== undefined && { accept: step.accept }),
    ...(as && { 'impersonate-user': as }),
    ...(groups[0] && { 'impersonate-group': groups[0] }),
    ...(body !== undefined && {
      'content-type': step.type ?? 'application/json',
    }),
    ...(fill(step.headers ?? {}, kept) as Record<string, string>),
  };
  const filled = fillText(path, kept) + (query === undefined ? '' : `?${fillText(query, kept, encodeURIComponent)}`);
  return { method, path: filled, headers, ...(body !== undefined && { body }) };
};

/** Of a step that says nothing of its answer. */
const ACCEPTED = { status: [200, 201, 202] };

const runStep = async (send: Send, step: Step, one: Case, kept: Kept) => {
  const request = requestOf(step, one.bases, kept);
  const expected = fill(step.expect ?? ACCEPTED, kept) as NonNullable<Step['expect']>;
  const until = Date.now() + (step.within ?? 0) * 1000;
  for (;;) {
    const answer = await send(request);
    const failures = differences(expected, answer);
    if (failures.length > 0 && Date.now() < until) {
      await pause(RETRY_MS);
      continue;
    }
    for (const [name, path] of Object.entries(step.keep ?? {})) {
      const value = path.startsWith('@') ? answer.headers[path.slice(1)] : valueAt(answer.body, path);
      kept.set(name, path === '.' ? answer.body : value);
    }
    return { answer, failures };
  }
};

const makeNamespace = async (send: Send, name: string): Promise<void> => {
  const body = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name },
  });
  const headers = { 'content-type': 'application/json' };
  const { status, text } = await send({
    method: 'POST',
    path: '/api/v1/namespaces',
    headers,
    body,
  });
  if (status !== 201) throw new Error(`namespace ${name}: ${status} ${text}`);
};

/** One run of a case; it ends at its first step that fails. */
const runOnce = async (send: Send, one: Case): Promise<Outcome> => {
  const kept: Kept = new Map([['ID', random()]]);
  const answers: Answer[] = [];
  const failures: string[] = [];
  try {
    if (JSON.stringify([one.steps, one.bases]).includes('$NS')) {
      const name = `tables-${random()}`;
      await makeNamespace(send, name);
      kept.set('NS', name);
    }
    for (const [i, step] of one.steps.entries()) {
      const ran = await runStep(send, step, one, kept);
      answers.push(ran.answer);
      failures.push(...ran.failures.map((line) => `step ${i + 1}, ${step.do}: ${line}`));
      if (ran.failures.length > 0) break;
    }
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
  return { case: one, failures, answers };
};

const RUNS_MAX = 4;

/** Runs one case, and again where a write lost against a controller that wrote between its steps. */
export const runCase = async (send: Send, one: Case): Promise<Outcome> => {
  for (let runs = 1; ; runs++) {
    const outcome = await runOnce(send, one);
    const last = outcome.answers.at(-1);
    const lost = outcome.failures.length > 0 && last?.status === 409 && valueAt(last.body, 'reason') === 'Conflict';
    if (!lost || runs >= RUNS_MAX) return outcome;
    await pause(RETRY_MS);
  }
};

/** Runs cases, so many at a time, calling back as each ends. */
export const runCases = async (
  send: Send,
  cases: Case[],
  workers: number,
  done: (outcome: Outcome) => void,
): Promise<void> => {
  const queue = [...cases];
  const work = async (): Promise<void> => {
    for (let one = queue.shift(); one; one = queue.shift()) done(await runCase(send, one));
  };
  await Promise.all(Array.from({ length: workers }, work));
};
