import { flowSchemas, MANDATORY, priorityLevels } from '../../machinery/flow-control-defaults.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../machinery/kinds.d.ts';
import { allocate, endPeriod, type Observed, PERIOD_MS } from './allocation.ts';
import { type Classifier, createClassifier } from './classifier.ts';
import { createLane, type Lane } from './gate.ts';
import { createLevel, isIdle, type Level, type LevelSettings, type Schema, type SchemaCounts } from './level.ts';
import { createRetryAfter, type RetryAfter } from './retry-after.ts';

/** Flow control of one cluster, as its FlowSchemas and PriorityLevelConfigurations want it. */
export interface ClusterFlow {
  readonly cluster: string;
  readonly lane: Lane;
  levels: Map<string, Level>;
  /** In the order of matching. */
  schemas: readonly Schema[];
  classify: Classifier<Schema>;
  /** For what nothing matches. */
  catchAll: Schema;
  readonly counts: Map<string, SchemaCounts>;
  readonly retryAfter: RetryAfter;
  /** Watches that are open, by `group/resource`. */
  readonly watchers: Map<string, number>;
  /** Requests that wait in queues of its levels. */
  waiting: number;
  /** Sum of the nominal seats: a little more than there are, since they are rounded up. */
  seats: number;
  /** When seats are lent anew, in milliseconds since the epoch. */
  adjustAt: number;
  observed: Map<string, Observed & { target: number }>;
}

const CATCH_ALL = 'catch-all';

const settingsOf = ({ metadata, spec }: PriorityLevelConfiguration): LevelSettings | undefined => {
  const uid = metadata.uid ?? '';
  if (spec?.type === 'Exempt') {
    const shares = spec.exempt?.nominalConcurrencyShares ?? 0;
    const lendable = spec.exempt?.lendablePercent ?? 0;
    return { uid, exempt: true, queues: 0, handSize: 0, queueLengthMax: 0, shares, lendable, borrowable: undefined };
  }
  if (!spec?.limited) return undefined;
  const { limited } = spec;
  const queuing = limited.limitResponse?.type === 'Queue' ? limited.limitResponse.queuing : undefined;
  return {
    uid,
    exempt: false,
    queues: queuing?.queues ?? 0,
    handSize: queuing?.handSize ?? 0,
    queueLengthMax: queuing?.queueLengthLimit ?? 0,
    shares: limited.nominalConcurrencyShares ?? 30,
    lendable: limited.lendablePercent ?? 0,
    borrowable: limited.borrowingLimitPercent ?? undefined,
  };
};

const blankCounts = (): SchemaCounts => ({
  dispatched: 0,
  executing: 0,
  executingSeats: 0,
  waiting: 0,
  waitingSeats: 0,
  refused: new Map(),
  waits: { counts: [], seconds: 0 },
});

const named = <T extends { metadata: { name?: string } }>(objects: readonly unknown[], name: string): T =>
  (objects as T[]).find(({ metadata }) => metadata.name === name) as T;

/** The given objects, and the mandatory ones where those are missing: requests always have somewhere to go. */
const completed = <T extends { metadata: { name?: string } }>(
  given: readonly T[],
  defaults: readonly unknown[],
): T[] => {
  const missing = [...MANDATORY].filter((name) => !given.some(({ metadata }) => metadata.name === name));
  return [...given, ...missing.map((name) => named<T>(defaults, name))];
};

export const createClusterFlow = (cluster: string, now: number): ClusterFlow => {
  const level = createLevel(CATCH_ALL, settingsOf(named(priorityLevels(), CATCH_ALL)) as LevelSettings, now);
  const catchAll: Schema = { name: CATCH_ALL, uid: '', level, by: 'ByUser', counts: blankCounts() };
  return {
    cluster,
    lane: createLane(),
    levels: new Map([[CATCH_ALL, level]]),
    schemas: [],
    classify: () => undefined,
    catchAll,
    counts: new Map([[CATCH_ALL, catchAll.counts]]),
    retryAfter: createRetryAfter(),
    watchers: new Map(),
    waiting: 0,
    seats: 0,
    adjustAt: 0,
    observed: new Map(),
  };
};

const useLevels = (flow: ClusterFlow, given: readonly PriorityLevelConfiguration[], now: number): void => {
  const levels = new Map<string, Level>();
  for (const object of completed(given, priorityLevels())) {
    const settings = settingsOf(object);
    const { name = '' } = object.metadata;
    if (!settings) continue;
    const level = flow.levels.get(name) ?? createLevel(name, settings, now);
    level.settings = settings;
    level.leaving = false;
    levels.set(name, level);
  }
  for (const [name, level] of flow.levels) {
    if (levels.has(name) || isIdle(level)) continue;
    // What it has begun and what waits for it goes on with its share of the seats.
    level.leaving = true;
    levels.set(name, level);
  }
  flow.levels = levels;
};

const precedence = ({ spec }: FlowSchema): number => spec?.matchingPrecedence ?? 0;
const inOrder = (a: FlowSchema, b: FlowSchema): number =>
  precedence(a) - precedence(b) || ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1);

/** What cannot be read is as good as not there: no stored object may keep requests out, those that mend it least. */
const isReadable = ({ spec }: FlowSchema): boolean => {
  try {
    createClassifier([{ spec, schema: undefined }]);
    return true;
  } catch {
    return false;
  }
};

const useSchemas = (flow: ClusterFlow, given: readonly FlowSchema[]): void => {
  const usable = given.filter((object) => {
    const level = flow.levels.get(object.spec?.priorityLevelConfiguration?.name ?? '');
    return level && !level.leaving && isReadable(object);
  });
  const compiled = completed(usable, flowSchemas())
    .sort(inOrder)
    .map(({ metadata, spec }) => {
      const name = metadata.name ?? '';
      const counts = flow.counts.get(name) ?? blankCounts();
      flow.counts.set(name, counts);
      const level = flow.levels.get(spec?.priorityLevelConfiguration.name ?? '') as Level;
      const by = (spec?.distinguisherMethod?.type ?? '') as Schema['by'];
      return { spec, schema: { name, uid: metadata.uid ?? '', level, by, counts } };
    });
  flow.schemas = compiled.map(({ schema }) => schema);
  flow.classify = createClassifier(compiled);
  flow.catchAll = flow.schemas.find(({ name }) => name === CATCH_ALL) ?? flow.catchAll;
  const names = new Set(flow.schemas.map(({ name }) => name));
  for (const [name, { executing, waiting }] of flow.counts)
    if (!names.has(name) && executing === 0 && waiting === 0) flow.counts.delete(name);
};

/** Nominal seats of each level: its share of `seats`, rounded up; and what it may lend and borrow of them. */
const shareSeats = (flow: ClusterFlow, seats: number): void => {
  let shares = 0;
  for (const { settings } of flow.levels.values()) shares += settings.shares;
  flow.seats = 0;
  for (const level of flow.levels.values()) {
    const { shares: own, lendable, borrowable } = level.settings;
    level.nominal = shares > 0 ? Math.ceil((seats * own) / shares) : 0;
    level.lower = level.nominal - Math.round((level.nominal * lendable) / 100);
    level.upper = level.nominal + (borrowable === undefined ? seats : Math.round((level.nominal * borrowable) / 100));
    flow.seats += level.nominal;
  }
};

/**
 * Ends a period of lending: each level gets what it has lately used, within its bounds, and a like share of what is left.
 * Source: KEP-1040, "Dispatching".
 */
export const lend = (flow: ClusterFlow, now: number): void => {
  flow.adjustAt = now + PERIOD_MS;
  const limited: Level[] = [];
  const claims: { lower: number; upper: number; target: number }[] = [];
  let remaining = flow.seats;
  let lowest = 0;
  let wanted = 0;
  for (const level of flow.levels.values()) {
    const seen = endPeriod(level.demand, now);
    if (level.settings.exempt) {
      level.limit = Math.max(level.lower, seen.high);
      remaining -= level.limit;
      flow.observed.set(level.name, { ...seen, target: level.limit });
      continue;
    }
    const lower = Math.max(level.lower, Math.min(level.nominal, seen.high));
    const target = Math.max(lower, seen.smoothed);
    limited.push(level);
    claims.push({ lower, upper: Math.max(lower, level.upper), target });
    lowest += level.lower;
    wanted += lower;
    flow.observed.set(level.name, { ...seen, target });
  }
  // Where the exempt take too much, the others come down towards what they never lend.
  const part = remaining <= lowest ? 0 : wanted > lowest ? Math.min(1, (remaining - lowest) / (wanted - lowest)) : 1;
  const shares = remaining > wanted ? allocate(flow.seats, claims) : undefined;
  limited.forEach((level, i) => {
    const own = level.lower + ((claims[i]?.lower ?? 0) - level.lower) * part;
    level.limit = Math.round(shares?.[i] ?? own);
  });
  for (const name of flow.observed.keys()) if (!flow.levels.has(name)) flow.observed.delete(name);
};

/** Takes a cluster's objects on. Requests that wait or run are not touched; a schema without its level is left out. */
export const configure = (
  flow: ClusterFlow,
  objects: { schemas: readonly FlowSchema[]; levels: readonly PriorityLevelConfiguration[] },
  seats: number,
  now: number,
): void => {
  useLevels(flow, objects.levels, now);
  useSchemas(flow, objects.schemas);
  shareSeats(flow, seats);
  lend(flow, now);
};

/** Removes a level that its object left, once nothing of it is under way. */
export const reap = (flow: ClusterFlow, level: Level, seats: number, now: number): void => {
  if (!level.leaving || !isIdle(level) || flow.levels.get(level.name) !== level) return;
  flow.levels.delete(level.name);
  shareSeats(flow, seats);
  lend(flow, now);
};

/** The most seats that one request of a level may take. Source: upstream's work estimator, 15 % of the nominal seats. */
const SEATS_MAX = 10;
export const widest = ({ settings, nominal }: Level): number => {
  if (settings.queues === 0) return SEATS_MAX;
  return Math.min(SEATS_MAX, Math.max(1, Math.min(Math.ceil(nominal * 0.15), Math.floor(nominal / settings.handSize))));
};
