import type { CertificateSigningRequest, Node, TokenRequest } from '../../../machinery/kinds.d.ts';
import type { Json, KubeObject } from '../../../machinery/object.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import { nodeNameOf } from '../../authz/node.ts';
import type { AnyObject } from '../../context.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { subjectOf } from '../certificates/subject.ts';
import { refusal } from '../refusal.ts';
import { forbiddenLabels } from './labels.ts';
import { admitNodePods, storedPod } from './pods.ts';
import { audienceFault } from './token-audience.ts';

const same = (a: unknown, b: unknown): boolean => equalJson((a ?? null) as Json, (b ?? null) as Json);

const admitNode = (request: AdmissionRequest, node: string): void => {
  const { operation, call } = request;
  const name = call.info.name || (request.object?.metadata.name ?? '');
  if (name !== node) throw refusal(request, `node "${node}" is not allowed to modify node "${name}"`);
  const next = request.object as KubeObject | undefined as Node | undefined;
  if (operation === 'CREATE') {
    const labels = forbiddenLabels(next?.metadata.labels);
    if (next?.spec?.configSource)
      throw refusal(request, `node "${node}" is not allowed to create pods with a non-nil configSource`);
    if (labels.length > 0)
      throw refusal(request, `node "${node}" is not allowed to set the following labels: ${labels.join(', ')}`);
  }
  if (operation !== 'UPDATE') return;
  const old = request.old as KubeObject | undefined as Node | undefined;
  if (next?.spec?.configSource && !same(next.spec.configSource, old?.spec?.configSource))
    throw refusal(request, `node "${node}" is not allowed to update configSource to a new non-nil configSource`);
  if (!same(next?.spec?.taints ?? [], old?.spec?.taints ?? []))
    throw refusal(request, `node "${node}" is not allowed to modify taints`);
  if (!same(next?.metadata.ownerReferences ?? [], old?.metadata.ownerReferences ?? []))
    throw refusal(request, `node "${node}" is not allowed to modify ownerReferences`);
  const labels = forbiddenLabels(next?.metadata.labels, old?.metadata.labels);
  if (labels.length > 0) throw refusal(request, `is not allowed to modify labels: ${labels.join(', ')}`);
};

const grown = (claim: AnyObject | undefined): Json => {
  const { metadata, status, ...rest } = claim ?? { metadata: {} };
  const { resourceVersion: _version, managedFields: _fields, ...kept } = metadata;
  const {
    capacity: _c,
    conditions: _o,
    allocatedResources: _a,
    allocatedResourceStatuses: _s,
    ...others
  } = status ?? {};
  return { ...rest, metadata: kept, status: others } as unknown as Json;
};

/** A node says how far a claim's volume has grown, and nothing else. */
const admitClaim = (request: AdmissionRequest, node: string): void => {
  const { operation, subresource, object, old } = request;
  if (subresource !== 'status') throw refusal(request, 'may only update PVC status');
  if (operation !== 'UPDATE') throw refusal(request, `unexpected operation "${operation}"`);
  if (!equalJson(grown(object), grown(old)))
    throw refusal(
      request,
      `node "${node}" is not allowed to update fields other than status.quantity and status.conditions`,
    );
};

/** Tokens are for pods that run on the node. */
const admitToken = async (request: AdmissionRequest, node: string): Promise<void> => {
  const { operation, subresource, object } = request;
  if (operation !== 'CREATE' || subresource !== 'token') return;
  const { spec } = object as unknown as TokenRequest;
  const ref = spec?.boundObjectRef;
  if (ref?.apiVersion !== 'v1' || ref.kind !== 'Pod' || !ref.name)
    throw refusal(request, 'node requested token not bound to a pod');
  if (!ref.uid) throw refusal(request, 'node requested token with a pod binding without a uid');
  const pod = await storedPod(request, ref.name);
  if (ref.uid !== pod.metadata.uid)
    throw refusal(
      request,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (pod.spec?.nodeName !== node)
    throw refusal(request, 'node requested token bound to a pod scheduled on a different node');
  const fault = await audienceFault(request.call, pod, spec?.audiences ?? []);
  if (fault !== undefined) throw refusal(request, fault);
};

const nameOf = ({ call, operation, object }: AdmissionRequest): string =>
  operation === 'CREATE' ? (object?.metadata.name ?? '') : call.info.name;

const admitLease = (request: AdmissionRequest, node: string): void => {
  if (request.call.info.namespace !== 'kube-node-lease')
    throw refusal(request, 'can only access leases in the "kube-node-lease" system namespace');
  if (nameOf(request) !== node)
    throw refusal(request, 'can only access node lease with the same name as the requesting node');
};

const admitCsiNode = (request: AdmissionRequest, node: string): void => {
  if (nameOf(request) !== node)
    throw refusal(request, 'can only access CSINode with the same name as the requesting node');
};

const admitSlice = (request: AdmissionRequest, node: string): void => {
  const { operation, object, old } = request;
  if (operation === 'CREATE' && object?.spec?.nodeName !== node)
    throw refusal(request, 'can only create ResourceSlice with the same NodeName as the requesting node');
  if (operation === 'DELETE' && old?.spec?.nodeName !== node)
    throw refusal(request, 'can only delete ResourceSlice with the same NodeName as the requesting node');
};

const kubeletSigners = ['kubernetes.io/kubelet-serving', 'kubernetes.io/kube-apiserver-client-kubelet'];

/** A node asks for its own certificates. */
const admitRequest = (request: AdmissionRequest, node: string): void => {
  if (request.operation !== 'CREATE' || request.subresource !== '') return;
  const { spec } = request.object as KubeObject as CertificateSigningRequest;
  if (!kubeletSigners.includes(spec?.signerName ?? '')) return;
  let commonName: string;
  try {
    ({ commonName } = subjectOf(spec?.request ?? ''));
  } catch (error) {
    throw refusal(request, `unable to parse csr: ${error instanceof Error ? error.message : error}`);
  }
  if (commonName !== `system:node:${node}`)
    throw refusal(request, `can only create a node CSR with CN=system:node:${node}`);
};

const rules: Readonly<Record<string, (request: AdmissionRequest, node: string) => void | Promise<void>>> = {
  '/pods': admitNodePods,
  '/nodes': admitNode,
  '/persistentvolumeclaims': admitClaim,
  '/serviceaccounts': admitToken,
  'coordination.k8s.io/leases': admitLease,
  'storage.k8s.io/csinodes': admitCsiNode,
  'resource.k8s.io/resourceslices': admitSlice,
  'certificates.k8s.io/certificatesigningrequests': admitRequest,
};

/** A node changes its own objects and those of the pods bound to it, and not what would draw others to it. KEP-279. */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  about: Object.keys(rules),
  admit: (request) => {
    const { user, resource } = request.call;
    if (request.operation === 'CONNECT' || !user.groups.includes('system:nodes')) return;
    if (!user.username.startsWith('system:node:')) return;
    const node = nodeNameOf(user);
    if (!node) throw refusal(request, `could not determine node from user "${user.username}"`);
    return rules[`${resource.group}/${resource.resource}`]?.(request, node);
  },
};
