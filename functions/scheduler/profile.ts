import type { NodeSelector, PreferredSchedulingTerm, TopologySpreadConstraint } from '../machinery/kinds.d.ts';

export interface FitStrategy {
  type: 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio';
  resources: readonly { name: string; weight: number }[];
  /** Points of RequestedToCapacityRatio: utilization 0 to 100, score 0 to 10. */
  shape: readonly { utilization: number; score: number }[];
}

/** Arguments of plugins, after defaults. Source: kubescheduler.config.k8s.io/v1. */
export interface PluginArgs {
  fit: { strategy: FitStrategy; ignoredResources: ReadonlySet<string>; ignoredGroups: ReadonlySet<string> };
  balanced: { resources: readonly { name: string; weight: number }[] };
  nodeAffinity: { required: NodeSelector | undefined; preferred: readonly PreferredSchedulingTerm[] };
  spread: { defaults: readonly TopologySpreadConstraint[]; system: boolean };
  podAffinity: { hardWeight: number };
}

/** How pods that name one scheduler are placed. */
export interface Profile {
  schedulerName: string;
  /** Plugins switched off, at every extension point (`*` is not supported) or as a filter, score or postFilter only. */
  disabled: { filter: ReadonlySet<string>; score: ReadonlySet<string>; postFilter: ReadonlySet<string> };
  /** Weights of scores that are not the default. */
  weights: ReadonlyMap<string, number>;
  args: PluginArgs;
  /** Share of nodes that is scored, 1 to 100; 0 lets it shrink with the size of the cluster. */
  percentageOfNodesToScore: number;
}

interface PluginSet {
  enabled?: { name: string; weight?: number }[];
  disabled?: { name: string }[];
}
/** One profile of a KubeSchedulerConfiguration, the parts that are read. */
export interface ProfileConfig {
  schedulerName?: string;
  percentageOfNodesToScore?: number;
  plugins?: { multiPoint?: PluginSet; filter?: PluginSet; score?: PluginSet; postFilter?: PluginSet };
  pluginConfig?: { name: string; args: Record<string, unknown> }[];
}

interface RawArgs {
  scoringStrategy?: {
    type?: FitStrategy['type'];
    resources?: { name: string; weight?: number }[];
    requestedToCapacityRatio?: { shape: FitStrategy['shape'] };
  };
  resources?: { name: string; weight?: number }[];
  ignoredResources?: string[];
  ignoredResourceGroups?: string[];
  addedAffinity?: {
    requiredDuringSchedulingIgnoredDuringExecution?: NodeSelector;
    preferredDuringSchedulingIgnoredDuringExecution?: PreferredSchedulingTerm[];
  };
  defaultingType?: 'System' | 'List';
  defaultConstraints?: TopologySpreadConstraint[];
  hardPodAffinityWeight?: number;
}

const CPU_AND_MEMORY = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
] as const;
const weighted = (resources: { name: string; weight?: number }[] | undefined) =>
  resources?.map(({ name, weight }) => ({ name, weight: weight || 1 })) ?? CPU_AND_MEMORY;

/** What pods of a service or a controller get that say nothing of their own. */
const SYSTEM_SPREAD: readonly TopologySpreadConstraint[] = [
  { maxSkew: 3, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
  { maxSkew: 5, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
];

const argsOf = (config: ProfileConfig): PluginArgs => {
  const args = (name: string): RawArgs => config.pluginConfig?.find((p) => p.name === name)?.args ?? {};
  const fit = args('NodeResourcesFit');
  const affinity = args('NodeAffinity').addedAffinity;
  const spread = args('PodTopologySpread');
  const list = spread.defaultingType === 'List';
  return {
    fit: {
      strategy: {
        type: fit.scoringStrategy?.type ?? 'LeastAllocated',
        resources: weighted(fit.scoringStrategy?.resources),
        shape: fit.scoringStrategy?.requestedToCapacityRatio?.shape ?? [],
      },
      ignoredResources: new Set(fit.ignoredResources),
      ignoredGroups: new Set(fit.ignoredResourceGroups),
    },
    balanced: { resources: weighted(args('NodeResourcesBalancedAllocation').resources) },
    nodeAffinity: {
      required: affinity?.requiredDuringSchedulingIgnoredDuringExecution,
      preferred: affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [],
    },
    spread: { defaults: list ? (spread.defaultConstraints ?? []) : SYSTEM_SPREAD, system: !list },
    podAffinity: { hardWeight: args('InterPodAffinity').hardPodAffinityWeight ?? 1 },
  };
};

export const DEFAULT_SCHEDULER = 'default-scheduler';

/** Fills in what a profile leaves out. */
export const profileOf = (config: ProfileConfig = {}): Profile => {
  const { multiPoint, filter, score, postFilter } = config.plugins ?? {};
  const off = (point: PluginSet | undefined): ReadonlySet<string> =>
    new Set([...(multiPoint?.disabled ?? []), ...(point?.disabled ?? [])].map((p) => p.name));
  const weights = new Map<string, number>();
  for (const { name, weight } of [...(multiPoint?.enabled ?? []), ...(score?.enabled ?? [])]) {
    if (weight) weights.set(name, weight);
  }
  return {
    schedulerName: config.schedulerName ?? DEFAULT_SCHEDULER,
    disabled: { filter: off(filter), score: off(score), postFilter: off(postFilter) },
    weights,
    args: argsOf(config),
    percentageOfNodesToScore: config.percentageOfNodesToScore ?? 0,
  };
};
export const defaultProfile: Profile = profileOf();
