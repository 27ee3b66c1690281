import { validateFinalizerNames, validateObjectMetaUpdate } from '../../machinery/metadata.ts';
import type { Json, JsonObject, KubeObject } from '../../machinery/object.ts';
import { badRequest, type Cause, cause, conflict, invalid } from '../../machinery/status.ts';
import { admit, validate } from '../admission/admission.ts';
import type { AnyObject, Call } from '../context.ts';
import { decodeAs, isObject, parseRequest } from '../request-body.ts';
import { outcomeResponse } from '../respond.ts';
import { changedConflict } from '../verbs/rules.ts';
import { updateObject } from '../verbs/update-object.ts';
import { checkUid } from './change.ts';

interface Given {
  target: JsonObject;
  metadata: KubeObject['metadata'];
}

/** A Binding for the pod of the path. Throws 400 and 422 Statuses. */
const checkedBinding = async (call: Call, value: Json): Promise<Given> => {
  if (!isObject(value)) throw badRequest('the body is not a Binding');
  const object = { ...value, metadata: isObject(value.metadata) ? value.metadata : {} } as unknown as AnyObject;
  call.trail?.requestObject({ kind: 'Binding', apiVersion: 'v1', ...object });
  const request = { call, operation: 'CREATE', subresource: 'binding', object } as const;
  await admit(request);
  const { name } = object.metadata;
  if (name !== call.info.name) throw badRequest('name in URL does not match name in Binding object');
  const target = isObject(object.target as Json) ? (object.target as JsonObject) : {};
  const causes: Cause[] = [];
  if (target.kind && target.kind !== 'Node')
    causes.push(cause.notSupported('target.kind', target.kind, ['Node', '<empty>']));
  if (!target.name) causes.push(cause.required('target.name'));
  if (causes.length > 0) throw invalid({ group: '', kind: 'Binding', name }, causes);
  await validate(request);
  return { target, metadata: object.metadata };
};

/** POST pods/x/binding: assigns a pod to a node once. A second binding is a 409. */
export const bind = async (call: Call): Promise<Response> =>
  bindTo(call, (await parseRequest(call.request, 'Binding')).value);

const bindTo = async (call: Call, value: Json): Promise<Response> => {
  const { target, metadata } = await checkedBinding(call, value);
  const refused = (why: string) => conflict({ group: '', kind: 'pods/binding', name: call.info.name }, why);
  const assign = (old: AnyObject) => {
    if (old.metadata.deletionTimestamp)
      throw refused(`pod ${call.info.name} is being deleted, cannot be assigned to a host`);
    if (old.spec?.nodeName)
      throw refused(`pod ${call.info.name} is already assigned to node ${JSON.stringify(old.spec.nodeName)}`);
    if (Array.isArray(old.spec?.schedulingGates) && old.spec.schedulingGates.length)
      throw refused(`pod ${call.info.name} has non-empty .spec.schedulingGates`);
    const conditions = (Array.isArray(old.status?.conditions) ? old.status.conditions : []) as JsonObject[];
    const scheduled = {
      type: 'PodScheduled',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: `${new Date(call.server.clock.now()).toISOString().slice(0, 19)}Z`,
    };
    const { nominatedNodeName: _nominated, ...status } = old.status ?? {};
    const next: AnyObject = {
      ...old,
      metadata: { ...old.metadata, ...merged(old.metadata, metadata) },
      spec: { ...old.spec, nodeName: target.name ?? '' },
      status: { ...status, conditions: [...conditions.filter((c) => c.type !== 'PodScheduled'), scheduled] },
    };
    return { next, raw: true };
  };
  const { uid, resourceVersion } = metadata;
  const check = (old: AnyObject) => {
    checkUid(call, uid, old);
    if (resourceVersion && resourceVersion !== old.metadata.resourceVersion)
      throw changedConflict(call, call.info.name);
  };
  await updateObject(call, assign, { retries: 8, check, admitted: true });
  return outcomeResponse(call, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }, 201);
};

/** Labels and annotations of a binding are put on its pod. */
const merged = (pod: KubeObject['metadata'], binding: KubeObject['metadata']): Partial<KubeObject['metadata']> => ({
  ...(binding.labels && { labels: { ...pod.labels, ...binding.labels } }),
  ...(binding.annotations && { annotations: { ...pod.annotations, ...binding.annotations } }),
});

/** POST bindings: the older way to write pods/x/binding; the pod is the one that the Binding is named after. */
export const bindings = async (call: Call): Promise<Response> => {
  const resource = call.server.registry.find(call.info.cluster, '', 'v1', 'pods');
  const body = await parseRequest(call.request, 'Binding');
  const metadata = isObject(body.value) && isObject(body.value.metadata) ? body.value.metadata : {};
  if (!resource || typeof metadata.name !== 'string' || !metadata.name)
    throw badRequest('the name of the pod must be provided');
  const info = { ...call.info, resource: 'pods', name: metadata.name, subresource: 'binding' };
  return bindTo({ ...call, info, resource }, body.value);
};

/** PUT namespaces/x/finalize: replaces spec.finalizers; the last one gone, a terminating namespace is removed. */
export const finalize = async (call: Call): Promise<Response> => {
  const object = decodeAs(
    call,
    await parseRequest(call.request, call.resource.kind),
    call.resource,
    call.resource.schema,
  );
  call.resource.strategy.defaults?.(object);
  call.trail?.requestObject(object);
  if (object.metadata.name !== call.info.name)
    throw badRequest(
      `the name of the object (${object.metadata.name ?? ''}) does not match the name on the URL (${call.info.name})`,
    );
  const finalizers = Array.isArray(object.spec?.finalizers) ? (object.spec.finalizers as string[]) : [];
  const { labels, annotations, ownerReferences, finalizers: own, resourceVersion = '', uid = '' } = object.metadata;
  return updateObject(
    call,
    (old) => {
      const { finalizers: _gone, ...spec } = old.spec ?? {};
      const metadata = {
        ...pick(old.metadata, object.metadata),
        ...(labels && { labels }),
        ...(annotations && { annotations }),
        ...(ownerReferences && { ownerReferences }),
        ...(own && { finalizers: own }),
      };
      const causes = [
        ...validateObjectMetaUpdate({ ...metadata, resourceVersion: '1' }, { ...old.metadata, resourceVersion: '1' }),
        ...validateFinalizerNames(finalizers, 'spec.finalizers'),
      ];
      if (causes.length > 0) throw invalid({ group: '', kind: 'Namespace', name: call.info.name }, causes);
      const next = {
        ...old,
        metadata: { ...metadata, resourceVersion, uid },
        spec: { ...spec, ...(finalizers.length > 0 && { finalizers }) },
      };
      return { next, raw: true };
    },
    { retries: resourceVersion ? 0 : 5 },
  );
};

/** Metadata that the endpoint keeps, besides what is sent with every write. */
const pick = (old: KubeObject['metadata'], sent: KubeObject['metadata']): KubeObject['metadata'] => {
  const { labels: _labels, annotations: _annotations, ownerReferences: _owners, finalizers: _own, ...kept } = old;
  return sent.managedFields ? { ...kept, managedFields: sent.managedFields } : kept;
};
