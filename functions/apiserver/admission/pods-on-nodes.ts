import type { Node, Pod } from '../../machinery/kinds.d.ts';
import type { Json, KubeObject } from '../../machinery/object.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import { compareQuantity, milliValue, quantityValue } from '../../machinery/quantity.ts';
import { podRequests } from '../../machinery/quota/pod-resources.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { refusal } from './refusal.ts';
import { isAbout, isUpdateOf } from './request-type.ts';
import { storedObject } from './stored.ts';

const topologyKeys = ['topology.kubernetes.io/zone', 'topology.kubernetes.io/region'];

const nodeNameFor = ({ operation, subresource, object }: AdmissionRequest): unknown => {
  if (operation !== 'CREATE') return undefined;
  if (subresource === '') return object?.spec?.nodeName;
  const target = object?.target as { kind?: string; name?: string } | undefined;
  return subresource === 'binding' && target?.kind === 'Node' ? target.name : undefined;
};

/** A pod that is bound to a node carries the node's zone and region. KEP-4742. */
export const podTopologyLabels: AdmissionPlugin = {
  name: 'PodTopologyLabels',
  about: ['/pods'],
  admit: async (request) => {
    if (!isAbout(request, '/pods')) return;
    const name = nodeNameFor(request);
    const { object } = request;
    if (typeof name !== 'string' || !name || !object) return;
    const node = await storedObject<Node>(request.call, '', 'nodes', name);
    const known = Object.entries(node?.metadata.labels ?? {}).filter(([key]) => topologyKeys.includes(key));
    if (known.length > 0) object.metadata.labels = { ...object.metadata.labels, ...Object.fromEntries(known) };
  },
};

const refused = (request: AdmissionRequest, why: string, reason: string) => {
  const error = refusal(request, why);
  error.status.details = { ...error.status.details, causes: [{ reason }] };
  return error;
};

/** What a node has to declare (KEP-5328) before a pod on it may change so. */
const featuresFor = (next: Pod, old: Pod): string[] => {
  const same = (a: unknown, b: unknown): boolean => equalJson((a ?? {}) as Json, (b ?? {}) as Json);
  const out: string[] = [];
  if (!same(next.spec?.resources, old.spec?.resources)) out.push('InPlacePodLevelResourcesVerticalScaling');
  const resized = (old.spec?.initContainers ?? []).some(
    (one, i) => one.restartPolicy !== 'Always' && !same(one.resources, next.spec?.initContainers?.[i]?.resources),
  );
  if (resized) out.push('InPlacePodVerticalScalingInitContainers');
  return out;
};

/** A pod changes only in ways that its node says it can follow. KEP-5328. */
export const nodeDeclaredFeatureValidator: AdmissionPlugin = {
  name: 'NodeDeclaredFeatureValidator',
  about: ['/pods'],
  validate: async (request) => {
    const { call, subresource, operation } = request;
    if (operation !== 'UPDATE' || (subresource !== '' && subresource !== 'resize')) return;
    const [pod, old] = [request.object as KubeObject as Pod, request.old as KubeObject as Pod];
    const name = pod.spec?.nodeName;
    if (!name || pod.metadata.generation === old.metadata.generation) return;
    const features = featuresFor(pod, old);
    if (features.length === 0) return;
    const node = await storedObject<Node>(call, '', 'nodes', name);
    if (!node) throw refusal(request, `node "${name}" not found`);
    const lacking = features.filter((feature) => !node.status?.declaredFeatures?.includes(feature));
    if (lacking.length > 0)
      throw refusal(
        request,
        `pod update requires features ${lacking.join(', ')} which are not available on node "${name}"`,
      );
  },
};

/** A pod is resized to what its node could hold at all, and on Linux only. KEP-1287. */
export const podResizeValidator: AdmissionPlugin = {
  name: 'PodResizeValidator',
  about: ['/pods'],
  validate: async (request) => {
    if (!isUpdateOf(request, '/pods', 'resize')) return;
    const pod = request.object as KubeObject as Pod;
    const name = pod.spec?.nodeName;
    if (!name || pod.metadata.generation === request.old?.metadata.generation) return;
    const node = await storedObject<Node>(request.call, '', 'nodes', name);
    if (!node) throw refusal(request, `node "${name}" not found`);
    const os = node.metadata.labels?.['kubernetes.io/os'];
    if (os !== undefined && os !== 'linux')
      throw refused(
        request,
        `pod resize is only supported on linux nodes, node "${name}" is "${os}"`,
        'UnsupportedPlatform',
      );
    const { status: _status, ...wanted } = pod;
    const requests = podRequests(wanted as Pod);
    const allocatable = node.status?.allocatable ?? {};
    const over = (['cpu', 'memory'] as const).flatMap((resource) => {
      const [asked, there] = [requests[resource] ?? '0', String(allocatable[resource] ?? '0')];
      const value = resource === 'cpu' ? milliValue : quantityValue;
      if (compareQuantity(asked, there) <= 0) return [];
      return [`${resource}, requested: ${value(asked)}, allocatable: ${value(there)}`];
    });
    if (over.length > 0)
      throw refused(request, `node didn't have enough allocatable resources: ${over.join('; ')}`, 'NodeCapacity');
  },
};
