import type { Node, Pod } from '../../../machinery/kinds.d.ts';
import type { Json, KubeObject } from '../../../machinery/object.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import { notFound } from '../../../machinery/status.ts';
import type { AdmissionRequest } from '../admission.ts';
import { refusal } from '../refusal.ts';
import { apiObjectReference } from '../secret-references.ts';
import { storedObject } from '../stored.ts';

const mirror = 'kubernetes.io/config.mirror';

/** A pod that the node asks about; 404 where there is none. */
export const storedPod = async ({ call }: AdmissionRequest, name: string): Promise<Pod> => {
  const pod = await storedObject<Pod>(call, '', 'pods', `${call.info.namespace}/${name}`);
  if (!pod) throw notFound({ group: '', kind: 'pods', name });
  return pod;
};

/** A node's pods that it runs by itself: owned by it, and reading nothing of the API. */
const admitCreate = async (request: AdmissionRequest, node: string): Promise<void> => {
  const pod = request.object as KubeObject as Pod;
  const refuse = (why: string) => refusal(request, why);
  if (pod.metadata.annotations?.[mirror] === undefined)
    throw refuse(`pod does not have "${mirror}" annotation, node "${node}" can only create mirror pods`);
  if (pod.spec?.nodeName !== node) throw refuse(`node "${node}" can only create pods with spec.nodeName set to itself`);
  const owners = pod.metadata.ownerReferences ?? [];
  if (owners.length > 1)
    throw refuse(`node "${node}" can only create pods with a single owner reference set to itself`);
  const [owner] = owners;
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)
    throw refuse(`node "${node}" can only create pods with an owner reference set to itself`);
  if (!owner.controller)
    throw refuse(`node "${node}" can only create pods with a controller owner reference set to itself`);
  if (owner.blockOwnerDeletion) throw refuse(`node "${node}" must not set blockOwnerDeletion on an owner reference`);
  const stored = await storedObject<Node>(request.call, '', 'nodes', node);
  if (!stored) throw notFound({ group: '', kind: 'nodes', name: node });
  if (owner.uid !== stored.metadata.uid)
    throw refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${stored.metadata.uid}`);
  const type = apiObjectReference(pod.spec);
  if (type !== undefined) throw refuse(`node "${node}" can not create pods that reference ${type}`);
};

const claimsOf = (object: KubeObject | undefined): Json => {
  const { resourceClaimStatuses = [] } = (object as Pod | undefined)?.status ?? {};
  return resourceClaimStatuses.map(({ name, resourceClaimName }) => ({ name, resourceClaimName })) as Json;
};

const admitStatus = (request: AdmissionRequest, node: string): void => {
  const { operation, object, old } = request;
  if (operation !== 'UPDATE') throw refusal(request, `unexpected operation "${operation}"`);
  if (old?.spec?.nodeName !== node)
    throw refusal(request, `node "${node}" can only update pod status for pods with spec.nodeName set to itself`);
  if (!equalJson(object?.metadata.labels ?? {}, old.metadata.labels ?? {}))
    throw refusal(request, `node "${node}" cannot update labels through pod status`);
  if (!equalJson(claimsOf(object), claimsOf(old)))
    throw refusal(request, `node "${node}" cannot update resource claim statues`);
  const extended = (of: KubeObject | undefined) =>
    ((of as Pod | undefined)?.status?.extendedResourceClaimStatus ?? {}) as Json;
  if (!equalJson(extended(object), extended(old)))
    throw refusal(request, `node "${node}" cannot update extended resource claim status`);
};

/** What a node may do with pods: show its own, report on those bound to it, and let those go. */
export const admitNodePods = async (request: AdmissionRequest, node: string): Promise<void> => {
  const { operation, subresource, call, old } = request;
  if (subresource === 'status') return admitStatus(request, node);
  if (subresource === 'eviction') {
    if (operation !== 'CREATE') return;
    const pod = await storedPod(request, call.info.name);
    if (pod.spec?.nodeName !== node)
      throw refusal(request, `node ${node} can only evict pods with spec.nodeName set to itself`);
    return;
  }
  if (subresource !== '')
    throw refusal(request, `unexpected pod subresource "${subresource}", only 'status' and 'eviction' are allowed`);
  if (operation === 'CREATE') return admitCreate(request, node);
  if (operation !== 'DELETE')
    throw refusal(
      request,
      `unexpected operation "${operation}", node "${node}" can only create and delete mirror pods`,
    );
  if (old?.spec?.nodeName !== node)
    throw refusal(request, `node "${node}" can only delete pods with spec.nodeName set to itself`);
};
