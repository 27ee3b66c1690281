import type { GroupVersionResource } from '../machinery/object.ts';

const resource = (group: string, version: string, name: string): GroupVersionResource =>
  Object.freeze({ group, version, resource: name });

export const pods = resource('', 'v1', 'pods');
export const nodes = resource('', 'v1', 'nodes');
export const services = resource('', 'v1', 'services');
export const endpoints = resource('', 'v1', 'endpoints');
export const namespaces = resource('', 'v1', 'namespaces');
export const serviceAccounts = resource('', 'v1', 'serviceaccounts');
export const secrets = resource('', 'v1', 'secrets');
export const configMaps = resource('', 'v1', 'configmaps');
export const persistentVolumes = resource('', 'v1', 'persistentvolumes');
export const volumeAttributesClasses = resource('storage.k8s.io', 'v1', 'volumeattributesclasses');
export const persistentVolumeClaims = resource('', 'v1', 'persistentvolumeclaims');
export const replicationControllers = resource('', 'v1', 'replicationcontrollers');
export const resourceQuotas = resource('', 'v1', 'resourcequotas');
export const deployments = resource('apps', 'v1', 'deployments');
export const replicaSets = resource('apps', 'v1', 'replicasets');
export const statefulSets = resource('apps', 'v1', 'statefulsets');
export const daemonSets = resource('apps', 'v1', 'daemonsets');
export const controllerRevisions = resource('apps', 'v1', 'controllerrevisions');
export const jobs = resource('batch', 'v1', 'jobs');
export const cronJobs = resource('batch', 'v1', 'cronjobs');
export const endpointSlices = resource('discovery.k8s.io', 'v1', 'endpointslices');
export const leases = resource('coordination.k8s.io', 'v1', 'leases');
export const podDisruptionBudgets = resource('policy', 'v1', 'poddisruptionbudgets');
export const clusterRoles = resource('rbac.authorization.k8s.io', 'v1', 'clusterroles');
export const certificateSigningRequests = resource('certificates.k8s.io', 'v1', 'certificatesigningrequests');
export const storageClasses = resource('storage.k8s.io', 'v1', 'storageclasses');
export const horizontalPodAutoscalers = resource('autoscaling', 'v2', 'horizontalpodautoscalers');
export const customResourceDefinitions = resource('apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
export const validatingAdmissionPolicies = resource(
  'admissionregistration.k8s.io',
  'v1',
  'validatingadmissionpolicies',
);
export const flowSchemas = resource('flowcontrol.apiserver.k8s.io', 'v1', 'flowschemas');
export const priorityLevelConfigurations = resource(
  'flowcontrol.apiserver.k8s.io',
  'v1',
  'prioritylevelconfigurations',
);
