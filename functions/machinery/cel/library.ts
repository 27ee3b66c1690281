import type { Type } from './types.ts';
import type { Value } from './values.ts';

/** One way to call a function. Of a member the target is the first argument. */
export interface Overload {
  /** As cel-go names it: costs go by it. */
  id: string;
  member: boolean;
  args: readonly Type[];
  result: Type;
  /** Throws EvalFault. */
  run: (...args: Value[]) => Value;
}
export type Functions = Map<string, Overload[]>;

/** Functions and types that expressions may use. */
export interface Library {
  functions: Record<string, Overload[]>;
  /** Types that can be named in expressions: `type(x) == net.IP`. */
  types?: Record<string, Type>;
}

// biome-ignore lint/suspicious/noExplicitAny: the checker has made sure that arguments are of their declared types.
type Run = (...args: any[]) => Value;

/** A function called by its name: `url(text)`. */
export const func = (id: string, args: readonly Type[], result: Type, run: Run): Overload => ({
  id,
  member: false,
  args,
  result,
  run,
});
/** A function called on its first argument: `text.startsWith(prefix)`. */
export const method = (id: string, args: readonly Type[], result: Type, run: Run): Overload => ({
  id,
  member: true,
  args,
  result,
  run,
});

export const functionsOf = (libraries: readonly Library[]): Functions => {
  const out: Functions = new Map();
  for (const { functions } of libraries)
    for (const [name, overloads] of Object.entries(functions)) out.set(name, [...(out.get(name) ?? []), ...overloads]);
  return out;
};
