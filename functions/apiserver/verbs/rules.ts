import { conflict, genericFailure, serviceUnavailable, tooLarge, tooManyRequests } from '../../machinery/status.ts';
import type { Outcome } from '../../store/store.ts';
import type { Call } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';

/** Kinds whose strategy upstream counts metadata.generation. */
const withGeneration = new Set([
  'CronJob',
  'CustomResourceDefinition',
  'DaemonSet',
  'Deployment',
  'DeviceClass',
  'EndpointSlice',
  'FlowSchema',
  'Ingress',
  'IngressClass',
  'Job',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionPolicyBinding',
  'MutatingWebhookConfiguration',
  'NetworkPolicy',
  'Pod',
  'PodDisruptionBudget',
  'PodTemplate',
  'PriorityClass',
  'PriorityLevelConfiguration',
  'ReplicaSet',
  'ReplicationController',
  'ResourceSlice',
  'StatefulSet',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'ValidatingWebhookConfiguration',
]);
export const tracksGeneration = (resource: ResourceInfo): boolean =>
  resource.custom || withGeneration.has(resource.kind);

/** Whether a change of what the object says counts: a PriorityClass is born with a generation and keeps it. */
export const bumpsGeneration = (resource: ResourceInfo): boolean =>
  tracksGeneration(resource) && (resource.custom || resource.kind !== 'PriorityClass');

const deprecated: Record<string, string> = {
  Endpoints: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
  ComponentStatus: 'v1 ComponentStatus is deprecated in v1.19+',
};
/** The warning that every request for a deprecated version of a kind carries. */
export const deprecationOf = ({ group, version, kind, definition }: ResourceInfo): string | undefined =>
  definition ? definition.deprecation : group === '' && version === 'v1' ? deprecated[kind] : undefined;

/** Kinds whose delete answers with the object rather than a Status. */
const returned = new Set([
  'pods',
  'podtemplates',
  'persistentvolumes',
  'persistentvolumeclaims',
  'resourcequotas',
  'serviceaccounts',
  'services',
  'namespaces',
  'csidrivers',
  'csinodes',
  'storageclasses',
  'volumeattachments',
  'volumeattributesclasses',
  'deviceclasses',
  'resourceclaims',
  'resourceclaimtemplates',
  'resourceslices',
]);
export const returnsDeleted = (resource: ResourceInfo): boolean => !resource.custom && returned.has(resource.resource);

export const modifiedText =
  'the object has been modified; please apply your changes to the latest version and try again';
export const changedConflict = (call: Call, name: string) =>
  conflict({ group: call.resource.group, kind: call.resource.resource, name }, modifiedText);

/** Throws the Status of a store's refusal that is no lost race. */
export const committed = (_call: Call, outcome: Outcome | undefined): never => {
  if (outcome && !outcome.ok && outcome.reason === 'too-large') throw tooLarge(outcome.message);
  if (outcome && !outcome.ok && outcome.reason === 'throttled') throw tooManyRequests(outcome.message, 1);
  if (outcome && !outcome.ok && outcome.reason === 'full')
    throw genericFailure(507, 'InsufficientStorage', outcome.message);
  throw serviceUnavailable('the store did not take the write');
};
