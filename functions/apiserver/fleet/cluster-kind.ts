import { timestamp } from '../../clock/clock.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Cause } from '../../machinery/status.ts';
import type { AccessEntry, AuthenticationMode } from '../authn/aws/access-entry.ts';
import type { AuthenticationDocument } from '../authn/jwt/document.ts';
import { resourcesOf } from '../custom/resources.ts';
import type { ResourceInfo, Strategy } from '../registry.ts';
import { clusterDefinition } from './cluster-definition.ts';

/** The cluster that holds the Cluster objects of a deployment. */
export const FLEET = 'system';
/** Clusters that every deployment has: no object names them, and nobody deletes them. */
export const BUILT_IN: ReadonlySet<string> = new Set(['default', FLEET]);

/** On every Cluster until all of its keys are gone. */
export const KEYS_FINALIZER = 'skiff.dev/keys';

/** What a cluster may use; absent: no limit. */
export interface ClusterQuotas {
  objects?: number;
  bytes?: number;
  /** Of each process. */
  requestsPerSecond?: number;
  nodes?: number;
}

export interface ClusterUsage {
  objects: number;
  bytes: number;
  nodes: number;
  /** RFC 3339. */
  countedAt: string;
}

export interface ClusterCondition {
  type: 'Ready' | 'Seeded';
  status: 'True' | 'False';
  lastTransitionTime: string;
  reason: string;
  message: string;
}

/** How principals of AWS come into a cluster, in the words of EKS' API. */
export interface ClusterAccessConfig {
  authenticationMode?: AuthenticationMode;
  /** What callers sign for; the uid of the Cluster where absent. */
  clusterId?: string;
}

/** skiff.dev/v1 Cluster. */
export interface Cluster extends KubeObject {
  spec?: {
    displayName?: string;
    quotas?: ClusterQuotas;
    deletionTimeoutSeconds?: number;
    accessConfig?: ClusterAccessConfig;
    accessEntries?: readonly AccessEntry[];
    authentication?: Pick<AuthenticationDocument, 'jwt'>;
  };
  status?: {
    phase?: 'Ready' | 'Terminating' | 'Dropped';
    endpoint?: string;
    usage?: ClusterUsage;
    conditions?: ClusterCondition[];
  };
}

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const validateName = (name: string): string[] => {
  if (BUILT_IN.has(name)) return [`${name} is a cluster that every deployment has`];
  if (label.test(name)) return [];
  return [
    'must be at most 63 lower case alphanumeric characters or "-", and must start and end with an alphanumeric one',
  ];
};

const withFinalizer = (cluster: Cluster): void => {
  const finalizers = cluster.metadata.finalizers ?? [];
  if (!finalizers.includes(KEYS_FINALIZER)) cluster.metadata.finalizers = [...finalizers, KEYS_FINALIZER];
};

/** A cluster is served as soon as its object is there: what it starts with is made when it is first asked for. */
const newStatus = (name: string, now: number): NonNullable<Cluster['status']> => {
  const lastTransitionTime = timestamp(now);
  return {
    phase: 'Ready',
    endpoint: `/clusters/${name}`,
    conditions: [
      { type: 'Ready', status: 'True', lastTransitionTime, reason: 'Served', message: 'the cluster is served' },
      {
        type: 'Seeded',
        status: 'False',
        lastTransitionTime,
        reason: 'NotUsedYet',
        message: 'what every cluster starts with is made before its first request is answered',
      },
    ],
  };
};

type Validate = (document: AuthenticationDocument, root: string) => { causes: Cause[] };
let validateAuthentication: Validate | undefined;

/** What checks issuers and their expressions is loaded by the first Cluster that has some. */
const loadAuthentication = async (): Promise<void> => {
  const [validate, expressions] = await Promise.all([
    import('../authn/jwt/validate.ts'),
    import('../authn/jwt/expressions.ts'),
  ]);
  await expressions.loadExpressions();
  validateAuthentication = validate.validateAuthentication;
};

const authenticationCauses = ({ spec }: Cluster): Cause[] =>
  spec?.authentication ? (validateAuthentication?.(spec.authentication, 'spec.authentication.').causes ?? []) : [];

const clusterStrategy = (base: Strategy): Strategy => ({
  ...base,
  validateName,
  ready: (object) => {
    const before = base.ready?.(object);
    if (!(object as Cluster).spec?.authentication || validateAuthentication) return before;
    return before ? before.then(loadAuthentication) : loadAuthentication();
  },
  validate: (object, ctx) => [...(base.validate?.(object, ctx) ?? []), ...authenticationCauses(object as Cluster)],
  ...(base.validateCreate && {
    validateCreate: (object, ctx) => [
      ...(base.validateCreate?.(object, ctx) ?? []),
      ...authenticationCauses(object as Cluster),
    ],
  }),
  prepareForCreate: (object, ctx) => {
    base.prepareForCreate?.(object, ctx);
    const cluster = object as Cluster;
    withFinalizer(cluster);
    cluster.status = newStatus(cluster.metadata.name ?? '', ctx.now);
  },
  prepareForUpdate: (next, old, ctx) => {
    base.prepareForUpdate?.(next, old, ctx);
    const before = old as Cluster;
    // Without the finalizer the object would go and leave its keys behind.
    if (before.metadata.finalizers?.includes(KEYS_FINALIZER) && before.status?.phase !== 'Dropped')
      withFinalizer(next as Cluster);
  },
});

let made: readonly ResourceInfo[] | undefined;

/** What the fleet's cluster serves besides what every cluster does. */
export const fleetResources = (): readonly ResourceInfo[] => {
  if (!made) {
    made = resourcesOf(clusterDefinition, new AbortController().signal);
    for (const info of made) info.strategy = clusterStrategy(info.strategy);
  }
  return made;
};
