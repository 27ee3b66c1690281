import type { Change, Domain, Indexed, Outcome, Stored, Write } from '../../functions/store/store.ts';

/** mulberry32: numbers in [0, 1) that a seed determines. */
export const seeded = (seed: number) => {
  let a = seed >>> 0;
  return (): number => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
};

export const domains: Domain[] = [
  { cluster: 'a', group: '', resource: 'pods' },
  { cluster: 'a', group: 'apps', resource: 'deployments' },
  { cluster: 'b', group: '', resource: 'pods' },
];

/** A random write; `revisions` is what the caller believes of each key. */
export const randomWrite = (random: () => number, revisions: ReadonlyMap<string, bigint>): Write => {
  const pick = (n: number) => Math.floor(random() * n);
  const key = `ns${pick(3)}/k${pick(12)}`;
  const index: Indexed = {
    labels: { l: `${pick(3)}` },
    fields: { 'spec.nodeName': `n${pick(4)}` },
    owners: random() < 0.5 ? [`u${pick(4)}`] : [],
  };
  const size = pick(40);
  const bytes = (revision: bigint) => Buffer.from(`${revision}:${'x'.repeat(size)}`);
  const known = revisions.get(key);
  const expected = known === undefined || random() < 0.1 ? BigInt(pick(50)) : known;
  const kind = random();
  if (kind < (known === undefined ? 0.8 : 0.1)) return { op: 'create', key, index, bytes };
  if (kind < 0.75) return { op: 'update', key, expected, index, bytes };
  return { op: 'delete', key, expected, ...(random() < 0.5 ? { bytes } : {}) };
};

const stateText = (stored: Stored | undefined): string =>
  stored ? `${stored.key}@${stored.revision} ${Buffer.from(stored.bytes)} ${JSON.stringify(stored.index)}` : '-';
export const outcomeText = (outcome: Outcome): string =>
  outcome.ok
    ? `ok ${outcome.created} ${stateText(outcome.stored)}`
    : `${outcome.reason} ${'current' in outcome ? stateText(outcome.current) : ''}`;
export const changeText = (change: Change): string =>
  `${change.type} ${stateText(change.stored)} was ${stateText(change.previous)}`;
export const statesText = (items: Iterable<Stored>): string[] => [...items].map(stateText);

/** The seeds to run: SEED alone, or `count` from the clock (or 1.. in CI), printed so that a failure can be replayed. */
export const seedsToRun = (count: number): number[] => {
  if (process.env.SEED) return [Number(process.env.SEED)];
  const first = process.env.CI === 'true' ? 1 : Date.now() % 1_000_000;
  return Array.from({ length: count }, (_, i) => first + i);
};
