import type { Json, JsonObject } from '../../machinery/object.ts';
import { badRequest, cause, conflict, invalid } from '../../machinery/status.ts';
import type { AnyObject, Call } from '../context.ts';
import { decodeAs, isObject, parseRequest } from '../request-body.ts';
import { statusResponse } from '../respond.ts';
import { updateObject } from '../verbs/update-object.ts';

/** POST pods/x/binding: assigns a pod to a node once. A second binding is a 409. */
export const bind = async (call: Call): Promise<Response> => bindTo(call, (await parseRequest(call.request)).value);

const bindTo = async (call: Call, value: Json): Promise<Response> => {
  if (!isObject(value)) throw badRequest('the body is not a Binding');
  const target = isObject(value.target) ? value.target : {};
  const { kind, name } = target;
  if (!name || (kind && kind !== 'Node')) {
    const why = name ? cause.notSupported('target.kind', kind, ['Node', '<empty>']) : cause.required('target.name');
    throw invalid({ group: '', kind: 'Binding', name: call.info.name }, [why]);
  }
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
    const next: AnyObject = {
      ...old,
      metadata: { ...old.metadata },
      spec: { ...old.spec, nodeName: name },
      status: { ...old.status, conditions: [...conditions.filter((c) => c.type !== 'PodScheduled'), scheduled] },
    };
    return { next, raw: true };
  };
  await updateObject(call, assign, { retries: 8 });
  return statusResponse(
    call.requestId,
    { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
    201,
    call.accept,
  );
};

/** POST bindings: the older way to write pods/x/binding; the pod is the one that the Binding is named after. */
export const bindings = async (call: Call): Promise<Response> => {
  const resource = call.server.registry.find(call.info.cluster, '', 'v1', 'pods');
  const body = await parseRequest(call.request);
  const metadata = isObject(body.value) && isObject(body.value.metadata) ? body.value.metadata : {};
  if (!resource || typeof metadata.name !== 'string' || !metadata.name)
    throw badRequest('the name of the pod must be provided');
  const info = { ...call.info, resource: 'pods', name: metadata.name, subresource: 'binding' };
  return bindTo({ ...call, info, resource }, body.value);
};

/** PUT namespaces/x/finalize: replaces spec.finalizers; the last one gone, a terminating namespace is removed. */
export const finalize = async (call: Call): Promise<Response> => {
  const object = decodeAs(call, await parseRequest(call.request), call.resource, call.resource.schema);
  if (object.metadata.name !== call.info.name)
    throw badRequest(
      `the name of the object (${object.metadata.name ?? ''}) does not match the name on the URL (${call.info.name})`,
    );
  const finalizers = object.spec?.finalizers;
  return updateObject(
    call,
    (old) => {
      const { finalizers: _gone, ...spec } = old.spec ?? {};
      const kept = Array.isArray(finalizers) && finalizers.length ? { finalizers } : {};
      const metadata = {
        ...old.metadata,
        resourceVersion: object.metadata.resourceVersion ?? '',
        uid: object.metadata.uid ?? '',
      };
      return { next: { ...old, metadata, spec: { ...spec, ...kept } }, raw: true };
    },
    { retries: object.metadata.resourceVersion ? 0 : 5 },
  );
};
