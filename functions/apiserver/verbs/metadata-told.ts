import { validateObjectMetaUpdate } from '../../machinery/metadata.ts';
import type { Cause } from '../../machinery/status.ts';
import type { AnyObject } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';

/**
 * Upstream checks the metadata of an update in the registry, in the rules of the kind and in those of its update, and
 * tells what each of them found. How often a fault is told therefore differs by kind: of labels, annotations, owners and
 * managers; of finalizers' names; of finalizers that are neither standard nor qualified (never, for some kinds).
 */
interface Told {
  content: number;
  finalizers: number;
  standard: number;
}
const told = (content: number, finalizers: number, standard: number): Told => ({ content, finalizers, standard });

const usual = told(4, 2, 2);
const once = told(3, 1, 1);
const kinds: Readonly<Record<string, Told>> = {
  '/Event': told(2, 1, 0),
  '/LimitRange': told(3, 2, 1),
  '/PersistentVolume': told(4, 3, 2),
  '/PodTemplate': once,
  '/ReplicationController': once,
  '/ResourceQuota': once,
  '/Service': once,
  'admissionregistration.k8s.io/MutatingAdmissionPolicy': told(3, 2, 0),
  'admissionregistration.k8s.io/MutatingAdmissionPolicyBinding': told(3, 2, 0),
  'admissionregistration.k8s.io/MutatingWebhookConfiguration': told(3, 2, 0),
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': told(3, 2, 0),
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding': told(3, 2, 0),
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration': told(3, 2, 0),
  'apiextensions.k8s.io/CustomResourceDefinition': told(3, 1, 0),
  'apiregistration.k8s.io/APIService': told(4, 2, 0),
  'apps/DaemonSet': once,
  'apps/Deployment': once,
  'apps/ReplicaSet': once,
  'apps/StatefulSet': once,
  'autoscaling/HorizontalPodAutoscaler': once,
  'batch/CronJob': once,
  'coordination.k8s.io/Lease': told(3, 1, 0),
  'discovery.k8s.io/EndpointSlice': told(3, 2, 1),
  'events.k8s.io/Event': once,
  'flowcontrol.apiserver.k8s.io/FlowSchema': told(3, 2, 1),
  'flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration': told(3, 2, 1),
  'networking.k8s.io/NetworkPolicy': once,
  'networking.k8s.io/ServiceCIDR': once,
  'node.k8s.io/RuntimeClass': told(4, 2, 0),
  'policy/PodDisruptionBudget': told(2, 1, 0),
  'resource.k8s.io/ResourceSlice': once,
  'scheduling.k8s.io/PriorityClass': once,
  'storage.k8s.io/CSIDriver': once,
  'storage.k8s.io/CSINode': told(3, 2, 1),
  'storage.k8s.io/VolumeAttachment': told(3, 2, 1),
};
const statuses: Readonly<Record<string, Told>> = {
  'apiextensions.k8s.io/CustomResourceDefinition': told(3, 1, 0),
  'batch/CronJob': told(2, 1, 0),
  'certificates.k8s.io/CertificateSigningRequest': usual,
  'policy/PodDisruptionBudget': told(2, 1, 0),
};

const toldOf = ({ group, kind, custom }: ResourceInfo, subresource: string): Told => {
  if (custom) return told(3, 1, 0);
  const key = `${group}/${kind}`;
  return subresource === 'status' ? (statuses[key] ?? once) : (kinds[key] ?? usual);
};

const timesOf = ({ field, reason }: Cause, counts: Told): number => {
  if (reason === 'FieldValueForbidden') return 2;
  if (field.startsWith('metadata.finalizers[')) return counts.standard;
  if (field === 'metadata.finalizers') return counts.finalizers;
  return /^metadata\.(labels|annotations|ownerReferences|managedFields)/.test(field) ? counts.content : 2;
};

/** What is wrong with the metadata of an update, each fault as often as clients of upstream are told. */
export const metadataCauses = (
  resource: ResourceInfo,
  subresource: string,
  next: AnyObject,
  old: AnyObject,
): Cause[] => {
  const causes = validateObjectMetaUpdate(next.metadata, old.metadata);
  if (causes.length === 0) return causes;
  const counts = toldOf(resource, subresource);
  return causes.flatMap((one) => new Array<Cause>(timesOf(one, counts)).fill(one));
};

/** Whether a create of the kind refuses finalizers that are neither standard nor qualified. */
export const checksStandardFinalizers = (resource: ResourceInfo): boolean => toldOf(resource, '').standard > 0;
