// What callers of the store saw, and whether some order of single operations explains it: for the simulation, and for real
// processes on DynamoDB Local.
import type { Outcome, Revision, Stored, Write } from '../../functions/store/store.ts';
import { type Operation, unexplained } from './linearizable.ts';

/** One call as its caller saw it. Values are told apart by their tokens, which no two writes share. */
export interface Seen {
  domain: string;
  key: string;
  start: number;
  /** Infinity: no answer. */
  end: number;
  call:
    | { op: 'get'; found?: { token: string; revision: string } }
    | { op: 'create' | 'update' | 'delete'; token: string; expected: string; result: Result }
    | { op: 'drop' };
}
export type Result =
  | { kind: 'ok'; revision: string }
  | { kind: 'refused'; reason: string; current?: { token: string; revision: string } }
  /** Surely not done. */
  | { kind: 'nothing' }
  | { kind: 'unknown' };

const decoder = new TextDecoder();
/** Bytes of a written value: its revision, the token, and what makes it large. */
export const bytesOf = (token: string, padding: Uint8Array) => (revision: Revision) =>
  Buffer.concat([Buffer.from(`${revision}:${token}:`), padding]);
export const tokenOf = (stored: Stored): { token: string; revision: string } => ({
  token: decoder.decode(stored.bytes.subarray(0, 100)).split(':')[1] ?? '',
  revision: `${stored.revision}`,
});
export const seenOf = (write: Write): { op: Write['op']; expected: string } => ({
  op: write.op,
  expected: write.op === 'create' ? '' : `${write.expected}`,
});
export const resultOf = (outcome: Outcome | undefined): Result => {
  if (!outcome) return { kind: 'unknown' };
  if (outcome.ok) return { kind: 'ok', revision: `${outcome.stored.revision}` };
  if (!('current' in outcome) && 'message' in outcome) return { kind: 'nothing' };
  const current = 'current' in outcome && outcome.current ? tokenOf(outcome.current) : undefined;
  return { kind: 'refused', reason: outcome.reason, ...(current ? { current } : {}) };
};

const ABSENT = '';
/** A state: token and revision, or absent. Unknown writes leave a state whose revision is found out when it is read. */
const operationOf = (seen: Seen, revisions: ReadonlyMap<string, string>): Operation | undefined => {
  const { start, end, call } = seen;
  const base = { start, end, text: `${seen.domain} ${seen.key} ${JSON.stringify(call)} [${start}, ${end}]` };
  if (call.op === 'drop') return { ...base, fits: () => true, next: ABSENT };
  if (call.op === 'get') {
    const value = call.found?.token ?? ABSENT;
    return { ...base, fits: (state) => state === value };
  }
  const { op, token, expected, result } = call;
  if (result.kind === 'nothing') return undefined;
  if (result.kind === 'refused') {
    const value = result.current?.token ?? ABSENT;
    const lost = op === 'create' ? value !== ABSENT : revisions.get(value) !== expected;
    return { ...base, fits: (state) => lost && state === value };
  }
  const fits = (state: string): boolean =>
    op === 'create' ? state === ABSENT : state !== ABSENT && revisions.get(state) === expected;
  return { ...base, fits, next: op === 'delete' ? ABSENT : token };
};

/** Texts of operations that no order explains, at most one per object. */
export const checkHistory = (history: readonly Seen[]): string[] => {
  const revisions = new Map<string, string>();
  const objects = new Map<string, Seen[]>();
  for (const seen of history) {
    const name = `${seen.domain} ${seen.key}`;
    const list = objects.get(name) ?? [];
    list.push(seen);
    objects.set(name, list);
    const { call } = seen;
    if (call.op === 'get' && call.found) revisions.set(call.found.token, call.found.revision);
    if (!('result' in call)) continue;
    if (call.result.kind === 'ok' && call.op !== 'delete') revisions.set(call.token, call.result.revision);
    if (call.result.kind === 'refused' && call.result.current)
      revisions.set(call.result.current.token, call.result.current.revision);
  }
  return [...objects.values()].flatMap((list) => {
    const bad = unexplained(
      list.flatMap((seen) => operationOf(seen, revisions) ?? []),
      ABSENT,
    );
    return bad ? [`no order explains: ${bad.text}`] : [];
  });
};
