import { parseBody } from '../../machinery/body.ts';
import { kindSchema } from '../../machinery/facts.ts';
import type { Scale } from '../../machinery/kinds.d.ts';
import type { Json, JsonObject, KubeObject } from '../../machinery/object.ts';
import { applyJsonPatch } from '../../machinery/patch/json-patch.ts';
import { applyMergePatch } from '../../machinery/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../../machinery/patch/strategic.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { labelSelector } from '../../machinery/selectors.ts';
import { badRequest, cause, conflict, invalid, unsupportedMediaType } from '../../machinery/status.ts';
import type { AnyObject, Call } from '../context.ts';
import { decodeAs, parseRequest, readBody } from '../request-body.ts';
import { objectResponse } from '../respond.ts';
import { parseStored } from '../stored-object.ts';
import { load } from '../verbs/get.ts';
import { modifiedText } from '../verbs/rules.ts';
import { updateObject } from '../verbs/update-object.ts';

const schema = kindSchema('autoscaling', 'v1', 'Scale') as ObjectSchema;
const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' };

/** Where a kind keeps what its Scale shows: JSON paths as a CRD's scale subresource names them. */
export interface ScalePaths {
  spec: string[];
  status: string[];
  /** A LabelSelector, a map of labels, or (custom resources) a selector's text. */
  selector?: string[];
}
const BUILTIN: ScalePaths = {
  spec: ['spec', 'replicas'],
  status: ['status', 'replicas'],
  selector: ['spec', 'selector'],
};

const at = (object: object, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, field) => (value as Record<string, unknown> | undefined)?.[field], object);

const put = (object: AnyObject, path: readonly string[], value: Json): void => {
  let target = object as unknown as Record<string, unknown>;
  for (const field of path.slice(0, -1)) {
    target[field] = { ...(target[field] as object | undefined) };
    target = target[field] as Record<string, unknown>;
  }
  target[path.at(-1) ?? ''] = value;
};

const operators: Record<string, string> = { in: ' in ', notin: ' notin ' };
const selectorText = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (!value || typeof value !== 'object') return '';
  const isMap = !('matchLabels' in value) && !('matchExpressions' in value);
  const selector = labelSelector(isMap ? { matchLabels: value as Record<string, string> } : (value as object));
  return selector.requirements
    .map((r) => {
      const values = [...r.values].sort();
      if (r.operator === 'exists') return r.key;
      if (r.operator === '!') return `!${r.key}`;
      return operators[r.operator]
        ? `${r.key}${operators[r.operator]}(${values.join(',')})`
        : `${r.key}${r.operator}${values[0] ?? ''}`;
    })
    .sort()
    .join(',');
};

/** autoscaling/v1 Scale of an object. */
const scaleOf = (object: AnyObject, paths: ScalePaths): KubeObject => {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.selector ? selectorText(at(object, paths.selector)) : '';
  const replicas = Number(at(object, paths.spec) ?? 0);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: Number(at(object, paths.status) ?? 0), ...(selector && { selector }) },
  } as KubeObject;
};

const checked = (call: Call, scale: Scale, old: AnyObject): Scale => {
  const { name = '', namespace, resourceVersion, uid } = scale.metadata ?? {};
  if (name && name !== call.info.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${call.info.name})`);
  if (namespace && namespace !== call.info.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  const replicas = scale.spec?.replicas ?? 0;
  const subject = { group: call.resource.group, kind: call.resource.resource, name: call.info.name };
  if (uid && uid !== old.metadata.uid)
    throw conflict(
      subject,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(subject, modifiedText);
  if (replicas < 0) {
    const causes = [cause.invalid('spec.replicas', replicas, 'must be greater than or equal to 0')];
    throw invalid({ group: 'autoscaling', kind: 'Scale', name: call.info.name }, causes);
  }
  return scale;
};

const patchedScale = (type: string, old: KubeObject, patch: Json): Json => {
  const live = old as unknown as JsonObject;
  if (type === 'application/json-patch+json') return applyJsonPatch(live, patch);
  if (type === 'application/strategic-merge-patch+json') return applyStrategicMergePatch(live, patch, schema);
  return applyMergePatch(live, patch);
};

type Wanted = (old: AnyObject) => Scale;

const wantedByUpdate = async (call: Call): Promise<Wanted> => {
  const scale = decodeAs(call, await parseRequest(call.request), SCALE, schema) as unknown as Scale;
  return () => scale;
};

const PATCHES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];
const wantedByPatch = async (call: Call, paths: ScalePaths): Promise<Wanted> => {
  const type = (call.request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim() ?? '';
  if (!PATCHES.includes(type)) throw unsupportedMediaType(PATCHES);
  const body = parseBody(await readBody(call.request), type.endsWith('yaml') ? 'yaml' : 'json');
  return (old) => {
    const value = patchedScale(type, scaleOf(old, paths), body.value);
    return decodeAs(call, { value, duplicates: [], oddNumbers: undefined }, SCALE, schema, true) as unknown as Scale;
  };
};

/** GET, PUT and PATCH of {resource}/{name}/scale. */
export const scale = async (call: Call, paths: ScalePaths = BUILTIN): Promise<Response> => {
  if (call.info.verb === 'get')
    return objectResponse(call, 200, scaleOf(parseStored(call.resource, (await load(call)).bytes), paths));
  const wanted = call.info.verb === 'patch' ? await wantedByPatch(call, paths) : await wantedByUpdate(call);
  const plain: Call = { ...call, accept: { media: 'json', as: '', version: '', pretty: false } };
  const response = await updateObject(
    plain,
    (old) => {
      const next = structuredClone(old);
      put(next, paths.spec, checked(call, wanted(old), old).spec?.replicas ?? 0);
      return { next };
    },
    { retries: 5 },
  );
  return objectResponse(call, 200, scaleOf((await response.json()) as AnyObject, paths));
};
