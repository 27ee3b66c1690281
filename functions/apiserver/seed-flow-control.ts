import type { KubeObject } from '../machinery/object.ts';

const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';
/** What marks the defaults that upstream keeps as it ships them. */
const annotations = { 'apf.kubernetes.io/autoupdate-spec': 'true' };

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
const systemAccounts = (name = '*'): Subject => ({
  kind: 'ServiceAccount',
  serviceAccount: { namespace: 'kube-system', name },
});

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

/** The default flow schemas, in the order in which requests are matched. */
export const flowSchemas = (): KubeObject[] => [
  schema('exempt', 'exempt', 1, '', groups('system:masters')),
  schema('probes', 'exempt', 2, '', groups(unauthenticated, authenticated), {
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  schema(
    'system-leader-election',
    'leader-election',
    100,
    byUser,
    [...users('system:kube-controller-manager', 'system:kube-scheduler'), systemAccounts()],
    { resourceRules: [leases] },
  ),
  schema(
    'endpoint-controller',
    'workload-high',
    150,
    byUser,
    [
      ...users('system:kube-controller-manager'),
      systemAccounts('endpoint-controller'),
      systemAccounts('endpointslicemirroring-controller'),
    ],
    { resourceRules: [resources(['get', 'create', 'update'], '', ['endpoints'])] },
  ),
  schema('workload-leader-election', 'leader-election', 200, byUser, [systemAccounts()], { resourceRules: [leases] }),
  schema('system-node-high', 'node-high', 400, byUser, groups('system:nodes'), {
    resourceRules: [
      resources(['*'], '', ['nodes', 'nodes/status'], ['*'], true),
      resources(['*'], 'coordination.k8s.io', ['leases']),
    ],
  }),
  schema('system-nodes', 'system', 500, byUser, groups('system:nodes')),
  schema('kube-controller-manager', 'workload-high', 800, byNamespace, users('system:kube-controller-manager')),
  schema('kube-scheduler', 'workload-high', 800, byNamespace, users('system:kube-scheduler')),
  schema('kube-system-service-accounts', 'workload-high', 900, byNamespace, [systemAccounts()]),
  schema('service-accounts', 'workload-low', 9000, byUser, groups('system:serviceaccounts')),
  schema('global-default', 'global-default', 9900, byUser, groups(unauthenticated, authenticated)),
  schema('catch-all', 'catch-all', 10_000, byUser, groups(unauthenticated, authenticated)),
];
