import type { KubeObject } from '../../../functions/machinery/object.ts';
import type { Profile } from '../../../functions/scheduler/profile.ts';
import { observePod, type PodOutcome } from './observe.ts';
import { createWorld, type Operation, type World } from './world.ts';

type Given = KubeObject & { kind: string };
interface Expectation {
  pods: Record<string, PodOutcome>;
  victims?: string[];
  pvcs?: Record<string, { volumeName?: string; selectedNode?: string }>;
  distribution?: Record<string, number[]>;
  outcomes?: Record<string, number>;
}
export interface Scenario {
  id: string;
  area: string;
  nodes: Given[];
  objects: Given[];
  pods: Given[];
  binder?: boolean;
  together?: boolean;
  steps?: { do: Operation[]; expect: Expectation }[];
  expect: Expectation;
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    v && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  );

/** Fields that are compared even where the recording has nothing to say. */
const ALWAYS: (keyof PodOutcome)[] = ['outcome', 'reasons', 'preFilter', 'postFilter', 'preemption', 'victims'];
/** Fields that are compared where it says something. */
const WHERE_SAID: (keyof PodOutcome)[] = ['byScore', 'feasible', 'scores'];

const comparePod = (world: World, name: string, want: PodOutcome, got: PodOutcome, initial: boolean): string[] => {
  const out: string[] = [];
  const differ = (field: string, a: unknown, b: unknown) => {
    if (text(a) !== text(b)) out.push(`${name}.${field}: expected ${text(a)}, got ${text(b)}`);
  };
  for (const field of ALWAYS) {
    // Victims of earlier steps are listed once.
    if (field === 'victims' && (!initial || want.victims === undefined)) continue;
    differ(field, want[field], got[field]);
  }
  for (const field of WHERE_SAID) if (want[field] !== undefined) differ(field, want[field], got[field]);
  if (want.outcome === 'unschedulable' || want.outcome === 'pending')
    differ('nominated', want.nominated, got.nominated);
  if (want.oneOf) {
    differ('oneOf', want.oneOf, got.oneOf);
    if (!want.oneOf.includes(got.node ?? ''))
      out.push(`${name}.node: expected one of ${text(want.oneOf)}, got ${got.node}`);
  } else differ('node', want.node, got.node);
  // Without a word on scores, the node was the only one feasible.
  if (want.outcome === 'bound' && !want.oneOf && !want.byScore && world.tried.has(name))
    differ('alone', true, got.alone);
  if (want.first) {
    const { outcome: _, ...first } = got.first ?? {};
    differ('first', want.first, first);
  }
  return out;
};

const compareClaims = (world: World, want: NonNullable<Expectation['pvcs']>): string[] => {
  const got: NonNullable<Expectation['pvcs']> = {};
  for (const claim of world.claims()) {
    const name = claim.metadata.name ?? '';
    const selectedNode = claim.metadata.annotations?.['volume.kubernetes.io/selected-node'];
    const { volumeName } = claim.spec ?? {};
    got[name] = { ...(volumeName ? { volumeName } : {}), ...(selectedNode ? { selectedNode } : {}) };
  }
  return text(got) === text(want) ? [] : [`pvcs: expected ${text(want)}, got ${text(got)}`];
};

const compareDistribution = (world: World, scenario: Scenario, want: Expectation): string[] => {
  const out: string[] = [];
  const names = new Set(scenario.pods.map((p) => p.metadata.name));
  const pods = world.pods().filter((p) => names.has(p.metadata.name));
  for (const [key, counts] of Object.entries(want.distribution ?? {})) {
    const byValue = new Map<string, number>();
    for (const node of world.nodes()) {
      const value = node.metadata.labels?.[key] ?? '';
      const on = pods.filter((p) => p.spec?.nodeName === node.metadata.name).length;
      byValue.set(value, (byValue.get(value) ?? 0) + on);
    }
    const got = [...byValue.values()].filter((n) => n > 0).sort((a, b) => a - b);
    if (text(got) !== text(counts)) out.push(`distribution of ${key}: expected ${text(counts)}, got ${text(got)}`);
  }
  if (want.outcomes) {
    const got: Record<string, number> = {};
    for (const pod of pods) {
      const { outcome = '' } = observePod(world, pod.metadata.name ?? '');
      got[outcome] = (got[outcome] ?? 0) + 1;
    }
    if (text(got) !== text(want.outcomes)) out.push(`outcomes: expected ${text(want.outcomes)}, got ${text(got)}`);
  }
  return out;
};

const compare = (world: World, scenario: Scenario, want: Expectation, initial: boolean): string[] => {
  const out = compareDistribution(world, scenario, want);
  for (const [name, pod] of Object.entries(want.pods)) {
    out.push(...comparePod(world, name, pod, observePod(world, name), initial));
    if (pod.retried !== undefined && pod.retried !== world.tried.has(name)) {
      out.push(`${name}.retried: expected ${pod.retried}`);
    }
  }
  const victims = [...new Set(world.evicted.map((e) => e.victim))].sort();
  if (text(victims) !== text(want.victims ?? []) && !(want.victims === undefined && !initial)) {
    out.push(`victims: expected ${text(want.victims ?? [])}, got ${text(victims)}`);
  }
  if (want.pvcs) out.push(...compareClaims(world, want.pvcs));
  return out;
};

/** Plays one scenario; returns how it differs from the recording, empty where it does not. */
export const play = async (scenario: Scenario, profiles: readonly Profile[]): Promise<string[]> => {
  const world = createWorld(profiles, { binder: scenario.binder === true });
  for (const given of [{ kind: 'Namespace', metadata: { name: 'default' } }, ...scenario.nodes, ...scenario.objects]) {
    await world.create(given);
  }
  for (const pod of scenario.pods) {
    await world.create(pod);
    if (!scenario.together) await world.settle();
  }
  await world.settle();
  const out = compare(world, scenario, scenario.expect, true);
  for (const [i, step] of (scenario.steps ?? []).entries()) {
    world.newStep();
    for (const operation of step.do) await world.perform(operation);
    await world.settle();
    out.push(...compare(world, scenario, step.expect, false).map((d) => `step ${i + 1}: ${d}`));
  }
  return out;
};
