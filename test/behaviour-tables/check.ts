// Compares an answer with what a case expects of it.
import { isDeepStrictEqual } from 'node:util';
import type { Expectation } from './cases.ts';
import type { Answer } from './client.ts';
import { valueAt } from './paths.ts';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a value is the expected one: `<any>` matches what is there, `<not X>` all but X, `/x/` text by pattern. */
export const matches = (expected: unknown, actual: unknown): boolean => {
  if (expected === null) return actual === undefined || actual === null;
  if (expected === '<any>') return actual !== undefined && actual !== null;
  if (typeof expected === 'string') {
    const not = /^<not (.*)>$/s.exec(expected)?.[1];
    if (not !== undefined) return actual !== undefined && String(actual) !== not;
    const pattern = /^\/(.+)\/$/s.exec(expected)?.[1];
    if (pattern !== undefined) return typeof actual === 'string' && new RegExp(pattern).test(actual);
  }
  if (Array.isArray(expected))
    return (
      Array.isArray(actual) && actual.length === expected.length && expected.every((one, i) => matches(one, actual[i]))
    );
  if (isObject(expected))
    return isObject(actual) && Object.entries(expected).every(([key, value]) => matches(value, actual[key]));
  return isDeepStrictEqual(expected, actual);
};

/** The causes of a Status as the tables write them, sorted. */
export const causesOf = (body: unknown): string[] => {
  const causes = valueAt(body, 'details.causes');
  if (!Array.isArray(causes)) return [];
  return causes
    .map(({ reason = '', field = '' }: { reason?: string; field?: string }) => `${reason} ${field}`.trim())
    .sort();
};

const eventsOf = (body: unknown): string[] => {
  const events = valueAt(body, 'watch');
  if (!Array.isArray(events)) return [];
  return events.map((event) => `${valueAt(event, 'type')} ${valueAt(event, 'object.metadata.name') ?? ''}`.trim());
};

const warningsOf = (answer: Answer): number => (answer.headers.warning ?? '').match(/(^|, )299 /g)?.length ?? 0;

/** The differences between an answer and the expectation, one a line; none when it holds. */
export const differences = (expected: Expectation, answer: Answer): string[] => {
  const found: string[] = [];
  const say = (what: string, wanted: unknown, got: unknown): void => {
    found.push(`${what}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`);
  };
  const { status, reason, causes, body = {}, headers = {}, warnings, text, events } = expected;
  if (status !== undefined && ![status].flat().includes(answer.status)) say('status', status, answer.status);
  if (reason !== undefined && valueAt(answer.body, 'reason') !== reason)
    say('reason', reason, valueAt(answer.body, 'reason'));
  if (causes && !isDeepStrictEqual([...causes].sort(), causesOf(answer.body)))
    say('causes', causes, causesOf(answer.body));
  for (const [path, value] of Object.entries(body)) {
    const actual = path === '.' ? answer.body : valueAt(answer.body, path);
    if (!matches(value, actual)) say(path, value, actual);
  }
  for (const [name, value] of Object.entries(headers))
    if (!matches(value, answer.headers[name])) say(`header ${name}`, value, answer.headers[name]);
  if (warnings !== undefined && warningsOf(answer) !== warnings) say('warnings', warnings, warningsOf(answer));
  if (text !== undefined && !new RegExp(text).test(answer.text)) say('text', text, answer.text.slice(0, 300));
  if (events && !isDeepStrictEqual(events, eventsOf(answer.body))) say('events', events, eventsOf(answer.body));
  return found;
};
