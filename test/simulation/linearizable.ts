// Is a history of concurrent operations on one object one that some order of single operations explains? After Wing and
// Gong (Testing and Verifying Concurrent Objects, 1993), taking the returns in order and keeping every configuration that
// is still possible; operations that change nothing are taken as soon as they fit, so only writes branch.

/** One operation on one object. States are strings. */
export interface Operation {
  /** When it was called and when it returned; Infinity when nobody knows whether it happened. */
  start: number;
  end: number;
  /** Whether it can have happened, with the result it had, in this state. */
  fits(state: string): boolean;
  /** The state it leaves; absent where it changes nothing. */
  next?: string;
  text: string;
}

interface Configuration {
  state: string;
  /** Operations that are called, not returned, and have happened. */
  happened: ReadonlySet<Operation>;
}

const nameOf = ({ state, happened }: Configuration, ids: ReadonlyMap<Operation, number>): string =>
  `${state}|${[...happened]
    .map((operation) => ids.get(operation) ?? -1)
    .sort((a, b) => a - b)
    .join(',')}`;

/** With everything that changes nothing and fits, taken. */
const withReads = (configuration: Configuration, called: ReadonlySet<Operation>): Configuration => {
  const more = [...called].filter(
    (operation) =>
      operation.next === undefined && !configuration.happened.has(operation) && operation.fits(configuration.state),
  );
  return more.length === 0
    ? configuration
    : { state: configuration.state, happened: new Set([...configuration.happened, ...more]) };
};

/** Every configuration that can be reached by operations that are called and have not happened yet. */
const reachable = (
  from: Iterable<Configuration>,
  called: ReadonlySet<Operation>,
  ids: ReadonlyMap<Operation, number>,
): Map<string, Configuration> => {
  const found = new Map<string, Configuration>();
  const open: Configuration[] = [...from];
  for (let one = open.pop(); one; one = open.pop()) {
    const now = withReads(one, called);
    const name = nameOf(now, ids);
    if (found.has(name)) continue;
    found.set(name, now);
    for (const operation of called) {
      if (operation.next === undefined || now.happened.has(operation) || !operation.fits(now.state)) continue;
      open.push({ state: operation.next, happened: new Set([...now.happened, operation]) });
    }
  }
  return found;
};

/** The operation that no order explains (the first by its return); undefined when the history is linearizable. */
export const unexplained = (history: readonly Operation[], first: string): Operation | undefined => {
  const ids = new Map(history.map((operation, i) => [operation, i]));
  const events = history
    .flatMap((operation) => [
      { at: operation.start, operation, returns: false },
      ...(operation.end === Number.POSITIVE_INFINITY ? [] : [{ at: operation.end, operation, returns: true }]),
    ])
    .sort((a, b) => a.at - b.at || Number(a.returns) - Number(b.returns));
  const called = new Set<Operation>();
  let possible = new Map<string, Configuration>();
  possible.set('', { state: first, happened: new Set() });
  for (const { operation, returns } of events) {
    if (!returns) {
      called.add(operation);
      continue;
    }
    const next = new Map<string, Configuration>();
    for (const { state, happened } of reachable(possible.values(), called, ids).values()) {
      if (!happened.has(operation)) continue;
      const left = { state, happened: new Set([...happened].filter((other) => other !== operation)) };
      next.set(nameOf(left, ids), left);
    }
    if (next.size === 0) return operation;
    called.delete(operation);
    possible = next;
  }
  return undefined;
};
