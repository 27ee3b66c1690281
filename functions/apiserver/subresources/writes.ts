import type { JsonObject } from '../../machinery/object.ts';
import { badRequest, cause, conflict, invalid } from '../../machinery/status.ts';
import type { AnyObject, Call } from '../context.ts';
import { decodeAs, isObject, parseRequest } from '../request-body.ts';
import { objectResponse, statusResponse } from '../respond.ts';
import { parseStored } from '../stored-object.ts';
import { load } from '../verbs/get.ts';
import { updateObject } from '../verbs/update-object.ts';

/** POST pods/x/binding: assigns a pod to a node once. A second binding is a 409. */
export const bind = async (call: Call): Promise<Response> => {
  const { value } = await parseRequest(call.request);
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

const selectorText = (selector: unknown): string => {
  const labels =
    (selector as { matchLabels?: Record<string, string> })?.matchLabels ?? (selector as Record<string, string>);
  if (!labels || typeof labels !== 'object') return '';
  return Object.entries(labels)
    .filter(([, value]) => typeof value === 'string')
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
};

const scaleOf = (object: AnyObject): JsonObject => {
  const { name = '', namespace = '', uid = '', resourceVersion = '', creationTimestamp } = object.metadata;
  const selector = selectorText(object.spec?.selector);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, ...(creationTimestamp && { creationTimestamp }) },
    spec: object.spec?.replicas ? { replicas: object.spec.replicas } : {},
    status: { replicas: object.status?.replicas ?? 0, ...(selector && { selector }) },
  };
};

/** GET and PUT of the scale of a kind that keeps it in spec.replicas. */
export const scale = async (call: Call): Promise<Response> => {
  if (call.info.verb === 'get') {
    const stored = await load(call);
    return objectResponse(call, 200, scaleOf(parseStored(call.resource, stored.bytes)));
  }
  const { value } = await parseRequest(call.request);
  if (!isObject(value)) throw badRequest('the body is not a Scale');
  const metadata = isObject(value.metadata) ? value.metadata : {};
  if (metadata.name && metadata.name !== call.info.name)
    throw badRequest(
      `the name of the object (${String(metadata.name)}) does not match the name on the URL (${call.info.name})`,
    );
  const replicas = isObject(value.spec) ? (value.spec.replicas ?? 0) : 0;
  if (typeof replicas !== 'number' || !Number.isInteger(replicas))
    throw badRequest('Scale in version "v1" cannot be handled as a Scale: spec.replicas is not an integer');
  if (replicas < 0)
    throw invalid({ group: 'autoscaling', kind: 'Scale', name: call.info.name }, [
      cause.invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
    ]);
  const version = typeof metadata.resourceVersion === 'string' ? metadata.resourceVersion : '';
  const response = await updateObject(
    call,
    (old) => ({
      next: { ...old, metadata: { ...old.metadata, resourceVersion: version }, spec: { ...old.spec, replicas } },
    }),
    { retries: version ? 0 : 5 },
  );
  return objectResponse(call, 200, scaleOf((await response.json()) as AnyObject));
};
