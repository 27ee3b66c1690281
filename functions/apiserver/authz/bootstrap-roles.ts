import type { PolicyRule } from '../../machinery/kinds.d.ts';
import { events, paths, read, rule, write } from './bootstrap-rule.ts';

/** Facts of Kubernetes: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings. */
const viewRules: PolicyRule[] = [
  rule(
    read,
    'core',
    'pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status endpoints persistentvolumeclaims persistentvolumeclaims/status configmaps',
  ),
  rule(
    read,
    'core',
    'limitranges resourcequotas bindings pods/status resourcequotas/status namespaces/status replicationcontrollers/status pods/log',
  ),
  rule(read, 'core', 'namespaces'),
  rule(read, 'core events.k8s.io', 'events'),
  rule(read, 'discovery.k8s.io', 'endpointslices'),
  rule(
    read,
    'apps',
    'controllerrevisions statefulsets statefulsets/status statefulsets/scale daemonsets daemonsets/status deployments deployments/status deployments/scale replicasets replicasets/status replicasets/scale',
  ),
  rule(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
  rule(read, 'batch', 'jobs cronjobs cronjobs/status jobs/status'),
  rule(
    read,
    'extensions',
    'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status replicasets replicasets/scale replicasets/status replicationcontrollers/scale networkpolicies',
  ),
  rule(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
  rule(read, 'networking.k8s.io', 'networkpolicies ingresses ingresses/status'),
  rule(read, 'resource.k8s.io', 'resourceclaims resourceclaims/status resourceclaimtemplates'),
];

const editRules: PolicyRule[] = [
  rule(read, 'core', 'pods/attach pods/proxy pods/exec pods/portforward secrets services/proxy'),
  rule('impersonate', 'core', 'serviceaccounts'),
  rule(write, 'core', 'pods pods/attach pods/proxy pods/exec pods/portforward'),
  rule('create', 'core', 'pods/eviction'),
  rule(
    write,
    'core',
    'replicationcontrollers replicationcontrollers/scale serviceaccounts services services/proxy persistentvolumeclaims configmaps secrets',
  ),
  rule('create', 'core', 'serviceaccounts/token'),
  rule(write, 'core events.k8s.io', 'events'),
  rule(
    write,
    'apps',
    'statefulsets statefulsets/scale daemonsets deployments deployments/scale deployments/rollback replicasets replicasets/scale',
  ),
  rule(write, 'autoscaling', 'horizontalpodautoscalers'),
  rule(write, 'batch', 'jobs cronjobs'),
  rule(
    write,
    'extensions',
    'daemonsets deployments deployments/scale deployments/rollback ingresses replicasets replicasets/scale replicationcontrollers/scale networkpolicies',
  ),
  rule(write, 'policy', 'poddisruptionbudgets'),
  rule(write, 'networking.k8s.io', 'networkpolicies ingresses'),
  rule(`${read} ${write}`, 'coordination.k8s.io', 'leases'),
  rule(write, 'resource.k8s.io', 'resourceclaims resourceclaimtemplates'),
];

const adminRules: PolicyRule[] = [
  rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
  rule(`${read} ${write}`, 'rbac.authorization.k8s.io', 'roles rolebindings'),
];

export const nodeRules: PolicyRule[] = [
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews localsubjectaccessreviews'),
  rule(read, 'core', 'services'),
  rule(`${read} create`, 'core', 'nodes'),
  rule('patch update', 'core', 'nodes/status'),
  rule('patch update', 'core', 'nodes'),
  events,
  rule(read, 'core', 'pods'),
  rule('create delete', 'core', 'pods'),
  rule('patch update', 'core', 'pods/status'),
  rule('create', 'core', 'pods/eviction'),
  rule(read, 'core', 'secrets configmaps'),
  rule('get', 'core', 'persistentvolumeclaims persistentvolumes'),
  rule('get', 'core', 'endpoints'),
  rule(`${read} create`, 'certificates.k8s.io', 'certificatesigningrequests'),
  rule('create delete get patch update', 'coordination.k8s.io', 'leases'),
  rule('get', 'storage.k8s.io', 'volumeattachments'),
  rule('create', 'core', 'serviceaccounts/token'),
  rule('get patch update', 'core', 'persistentvolumeclaims/status'),
  rule(read, 'storage.k8s.io', 'csidrivers'),
  rule('create delete get patch update', 'storage.k8s.io', 'csinodes'),
  rule(read, 'node.k8s.io', 'runtimeclasses'),
  rule('get', 'resource.k8s.io', 'resourceclaims'),
  rule('deletecollection', 'resource.k8s.io', 'resourceslices'),
  rule('get', 'core', 'serviceaccounts'),
];

const schedulerRules: PolicyRule[] = [
  events,
  rule('create', 'coordination.k8s.io', 'leases'),
  rule(`${read} update`, 'coordination.k8s.io', 'leases', 'kube-scheduler'),
  rule(`${read} ${write}`, 'coordination.k8s.io', 'leasecandidates'),
  rule(read, 'core', 'nodes'),
  rule(`${read} delete`, 'core', 'pods'),
  rule('create', 'core', 'pods/binding bindings'),
  rule('patch update', 'core', 'pods/status'),
  rule(read, 'core', 'services replicationcontrollers'),
  rule(read, 'apps extensions', 'replicasets'),
  rule(read, 'apps', 'statefulsets'),
  rule(read, 'policy', 'poddisruptionbudgets'),
  rule(read, 'core', 'persistentvolumeclaims persistentvolumes'),
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  rule(read, 'storage.k8s.io', 'csinodes'),
  rule(read, 'storage.k8s.io', 'volumeattachments'),
  rule(read, 'core', 'namespaces'),
  rule(read, 'storage.k8s.io', 'csidrivers'),
  rule(read, 'storage.k8s.io', 'csistoragecapacities'),
  rule(read, 'resource.k8s.io', 'deviceclasses'),
  rule(`${read} patch update`, 'resource.k8s.io', 'resourceclaims'),
  rule(`${read} patch update`, 'resource.k8s.io', 'resourceclaims/status'),
  rule('update', 'core', 'pods/finalizers'),
  rule(read, 'resource.k8s.io', 'resourceslices'),
  rule('create delete', 'resource.k8s.io', 'resourceclaims'),
  rule('patch update', 'resource.k8s.io', 'resourceclaims/binding'),
];

const managerRules: PolicyRule[] = [
  events,
  rule('create', 'coordination.k8s.io', 'leases'),
  rule('get update', 'coordination.k8s.io', 'leases', 'kube-controller-manager'),
  rule('create', 'core', 'secrets serviceaccounts'),
  rule('delete', 'core', 'secrets'),
  rule('get', 'core', 'namespaces secrets serviceaccounts configmaps'),
  rule('update', 'core', 'secrets serviceaccounts'),
  rule('create', 'authentication.k8s.io', 'tokenreviews'),
  rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
  rule('list watch', '*', '*'),
  rule('create', 'core', 'serviceaccounts/token'),
];

const approver = (signer: string): PolicyRule[] => [rule('approve', 'certificates.k8s.io', 'signers', signer)];
const csr = 'system:certificates.k8s.io';

/** A ClusterRole: its rules, or the roles that it gathers (`aggregates`), and what gathers it (`aggregatedTo`). */
export interface BootstrapRole {
  rules?: PolicyRule[];
  aggregates?: string;
  aggregatedTo?: string;
}

/** The default ClusterRoles by name, without those of controllers. */
export const clusterRoles: Record<string, BootstrapRole> = {
  'cluster-admin': { rules: [rule('*', '*', '*'), paths('*', '*')] },
  admin: { aggregates: 'admin' },
  edit: { aggregates: 'edit', aggregatedTo: 'admin' },
  view: { aggregates: 'view', aggregatedTo: 'edit' },
  'system:aggregate-to-admin': { rules: adminRules, aggregatedTo: 'admin' },
  'system:aggregate-to-edit': { rules: editRules, aggregatedTo: 'edit' },
  'system:aggregate-to-view': { rules: viewRules, aggregatedTo: 'view' },
  'system:discovery': {
    rules: [paths('get', '/livez /readyz /healthz /version /version/ /openapi /openapi/* /api /api/* /apis /apis/*')],
  },
  'system:public-info-viewer': { rules: [paths('get', '/livez /readyz /healthz /version /version/')] },
  'system:monitoring': {
    rules: [
      paths('get', '/metrics /metrics/slis /livez /readyz /healthz /livez/* /readyz/* /healthz/* /flagz /statusz'),
      rule('get', 'core', 'nodes/metrics'),
    ],
  },
  'system:basic-user': {
    rules: [
      rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
    ],
  },
  'system:auth-delegator': {
    rules: [
      rule('create', 'authentication.k8s.io', 'tokenreviews'),
      rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    ],
  },
  'system:service-account-issuer-discovery': {
    rules: [
      paths(
        'get',
        '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/',
      ),
    ],
  },
  'system:node': { rules: nodeRules },
  'system:node-bootstrapper': {
    rules: [rule(`${read} create`, 'certificates.k8s.io', 'certificatesigningrequests')],
  },
  'system:node-problem-detector': {
    rules: [rule('get', 'core', 'nodes'), rule('patch', 'core', 'nodes/status'), events],
  },
  'system:node-proxier': {
    rules: [
      rule('list watch', 'core', 'services endpoints'),
      rule(read, 'core', 'nodes'),
      events,
      rule('list watch', 'networking.k8s.io', 'servicecidrs'),
      rule('list watch', 'discovery.k8s.io', 'endpointslices'),
    ],
  },
  'system:kubelet-api-admin': {
    rules: [
      rule(read, 'core', 'nodes'),
      rule('proxy', 'core', 'nodes'),
      rule('*', 'core', 'nodes/proxy nodes/metrics nodes/stats nodes/log'),
      rule('*', 'core', 'nodes/healthz nodes/pods nodes/configz'),
    ],
  },
  'system:kube-scheduler': { rules: schedulerRules },
  'system:kube-controller-manager': { rules: managerRules },
  'system:kube-dns': { rules: [rule('list watch', 'core', 'endpoints services')] },
  'system:kube-aggregator': { rules: [rule(read, 'core', 'services endpoints')] },
  'system:volume-scheduler': {
    rules: [
      rule(`${read} patch update`, 'core', 'persistentvolumes'),
      rule(read, 'storage.k8s.io', 'storageclasses'),
      rule(`${read} patch update`, 'core', 'persistentvolumeclaims'),
    ],
  },
  'system:persistent-volume-provisioner': {
    rules: [
      rule(`${read} create delete`, 'core', 'persistentvolumes'),
      rule(`${read} update`, 'core', 'persistentvolumeclaims'),
      rule(read, 'storage.k8s.io', 'storageclasses'),
      rule('watch', 'core', 'events'),
      events,
    ],
  },
  'system:heapster': {
    rules: [rule(read, 'core', 'events pods nodes namespaces'), rule(read, 'extensions', 'deployments')],
  },
  [`${csr}:certificatesigningrequests:nodeclient`]: {
    rules: [rule('create', 'certificates.k8s.io', 'certificatesigningrequests/nodeclient')],
  },
  [`${csr}:certificatesigningrequests:selfnodeclient`]: {
    rules: [rule('create', 'certificates.k8s.io', 'certificatesigningrequests/selfnodeclient')],
  },
  [`${csr}:kube-apiserver-client-approver`]: { rules: approver('kubernetes.io/kube-apiserver-client') },
  [`${csr}:kube-apiserver-client-kubelet-approver`]: { rules: approver('kubernetes.io/kube-apiserver-client-kubelet') },
  [`${csr}:kubelet-serving-approver`]: { rules: approver('kubernetes.io/kubelet-serving') },
  [`${csr}:legacy-unknown-approver`]: { rules: approver('kubernetes.io/legacy-unknown') },
};
