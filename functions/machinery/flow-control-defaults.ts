import type { FlowSchema, FlowSchemaCondition } from './kinds.d.ts';
import type { KubeObject } from './object.ts';

const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';
/** Says `true` of objects that are kept as they are shipped, `false` of those that are left to the operator. */
export const AUTO_UPDATE = 'apf.kubernetes.io/autoupdate-spec';
const annotations = { [AUTO_UPDATE]: 'true' };

/** The condition that tells whether a schema's priority level exists; `at` in RFC 3339. */
export const danglingCondition = (level: string, isDangling: boolean, at: string): FlowSchemaCondition => ({
  type: 'Dangling',
  status: isDangling ? 'True' : 'False',
  lastTransitionTime: at,
  reason: isDangling ? 'NotFound' : 'Found',
  message: `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} ${isDangling ? 'but there is no such object' : 'and it exists'}`,
});

/** Names of the objects that no cluster is ever without, of either kind. */
export const MANDATORY: ReadonlySet<string> = new Set(['exempt', 'catch-all']);

const level = (name: string, shares: number, lendablePercent: number, queues: number, handSize = 6): KubeObject =>
  ({
    kind: 'PriorityLevelConfiguration',
    apiVersion,
    metadata: { name, annotations },
    spec: {
      type: 'Limited',
      limited: {
        nominalConcurrencyShares: shares,
        limitResponse: queues
          ? { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } }
          : { type: 'Reject' },
        lendablePercent,
      },
    },
    status: {},
  }) as KubeObject;

type Subject = { kind: string } & Record<string, unknown>;
const groups = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'Group', group: { name } }));
const users = (...names: string[]): Subject[] => names.map((name) => ({ kind: 'User', user: { name } }));
const systemAccounts: Subject = { kind: 'ServiceAccount', serviceAccount: { namespace: 'kube-system', name: '*' } };

const resources = (verbs: string[], group: string, names: string[], namespaces = ['*'], clusterScope = false) => ({
  verbs,
  apiGroups: [group],
  resources: names,
  ...(clusterScope && { clusterScope }),
  namespaces,
});
const everything = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const leases = resources(['get', 'create', 'update'], 'coordination.k8s.io', ['leases']);

const schema = (
  name: string,
  to: string,
  precedence: number,
  by: string,
  subjects: Subject[],
  rules: object = everything,
) =>
  ({
    kind: 'FlowSchema',
    apiVersion,
    metadata: { name, annotations },
    spec: {
      priorityLevelConfiguration: { name: to },
      matchingPrecedence: precedence,
      ...(by && { distinguisherMethod: { type: by } }),
      rules: [{ subjects, ...rules }],
    },
    status: {},
  }) as KubeObject;

const authenticated = 'system:authenticated';
const unauthenticated = 'system:unauthenticated';
const byUser = 'ByUser';
const byNamespace = 'ByNamespace';

/** The default priority levels: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults. */
export const priorityLevels = (): KubeObject[] => [
  {
    kind: 'PriorityLevelConfiguration',
    apiVersion,
    metadata: { name: 'exempt', annotations },
    spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
    status: {},
  } as KubeObject,
  level('catch-all', 5, 0, 0),
  level('system', 30, 33, 64),
  level('node-high', 40, 25, 64),
  level('leader-election', 10, 0, 16, 4),
  level('workload-high', 40, 50, 128),
  level('workload-low', 100, 90, 128),
  level('global-default', 20, 50, 128),
];

/** The default flow schemas, in the order in which requests are matched; with their status where `at` (RFC 3339) is given. */
export const flowSchemas = (at?: string): KubeObject[] => (at === undefined ? schemas() : schemas().map(found(at)));

const found =
  (at: string) =>
  (object: KubeObject): KubeObject => {
    const { name } = (object as unknown as FlowSchema).spec?.priorityLevelConfiguration ?? { name: '' };
    return { ...object, status: { conditions: [danglingCondition(name, false, at)] } } as KubeObject;
  };

const schemas = (): KubeObject[] => [
  schema('exempt', 'exempt', 1, '', groups('system:masters')),
  schema('probes', 'exempt', 2, '', groups(unauthenticated, authenticated), {
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  schema(
    'system-leader-election',
    'leader-election',
    100,
    byUser,
    [...users('system:kube-controller-manager', 'system:kube-scheduler'), systemAccounts],
    { resourceRules: [leases] },
  ),
  schema('system-node-high', 'node-high', 400, byUser, groups('system:nodes'), {
    resourceRules: [
      resources(['*'], '', ['nodes', 'nodes/status'], ['*'], true),
      resources(['*'], 'coordination.k8s.io', ['leases']),
    ],
  }),
  schema('system-nodes', 'system', 500, byUser, groups('system:nodes')),
  schema('kube-controller-manager', 'workload-high', 800, byNamespace, users('system:kube-controller-manager')),
  schema('kube-scheduler', 'workload-high', 800, byNamespace, users('system:kube-scheduler')),
  schema('kube-system-service-accounts', 'workload-high', 900, byNamespace, [systemAccounts]),
  schema('service-accounts', 'workload-low', 9000, byUser, groups('system:serviceaccounts')),
  schema('global-default', 'global-default', 9900, byUser, groups(unauthenticated, authenticated)),
  schema('catch-all', 'catch-all', 10_000, byUser, groups(unauthenticated, authenticated)),
];
