import { timestamp } from '../../clock/clock.ts';
import { applyConflict, applyPatch } from '../../machinery/apply/apply.ts';
import { managedFieldsOf, readManagers } from '../../machinery/apply/managers.ts';
import { toParent, toScale } from '../../machinery/apply/scale-managers.ts';
import { trackUpdate } from '../../machinery/apply/update.ts';
import { type ParsedBody, parseBody } from '../../machinery/body.ts';
import { kindSchema } from '../../machinery/facts.ts';
import { groupVersion, type Json, type JsonObject } from '../../machinery/object.ts';
import { applyJsonPatch } from '../../machinery/patch/json-patch.ts';
import { applyMergePatch } from '../../machinery/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../../machinery/patch/strategic.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { labelSelector } from '../../machinery/selectors.ts';
import { badRequest, cause, conflict, invalid, unsupportedMediaType } from '../../machinery/status.ts';
import type { AnyObject, Call } from '../context.ts';
import type { ScalePaths } from '../registry.ts';
import { decodeAs, isObject, parseRequest, readBody } from '../request-body.ts';
import { objectResponse } from '../respond.ts';
import { asJson, parseStored } from '../stored-object.ts';
import { load } from '../verbs/get.ts';
import { checkManager } from '../verbs/patch.ts';
import { modifiedText } from '../verbs/rules.ts';
import { type Transform, updateObject } from '../verbs/update-object.ts';

const schema = kindSchema('autoscaling', 'v1', 'Scale') as ObjectSchema;
const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' };

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
const scaleOf = (object: AnyObject, paths: ScalePaths): AnyObject => {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = paths.selector ? selectorText(at(object, paths.selector)) : '';
  const replicas = Number(at(object, paths.spec) ?? 0);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: Number(at(object, paths.status) ?? 0), ...(selector && { selector }) },
  } as AnyObject;
};

const checkName = (call: Call, scale: AnyObject): void => {
  const { name = '', namespace } = scale.metadata;
  if (!name) throw badRequest('name must be provided');
  if (name !== call.info.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${call.info.name})`);
  if (namespace && namespace !== call.info.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
};

const checkScale = (call: Call, scale: AnyObject, old: AnyObject): void => {
  const { resourceVersion, uid } = scale.metadata;
  const replicas = Number(scale.spec?.replicas ?? 0);
  // A custom resource is told of its own field, by the rules of its kind.
  if (replicas < 0 && !call.resource.custom) {
    const causes = [cause.invalid('spec.replicas', replicas, 'must be greater than or equal to 0')];
    throw invalid({ group: 'autoscaling', kind: 'Scale', name: call.info.name }, causes);
  }
  const subject = { group: call.resource.group, kind: call.resource.resource, name: call.info.name };
  if (uid && uid !== old.metadata.uid)
    throw conflict(
      subject,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
  if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) throw conflict(subject, modifiedText);
};

/** The Scale that a request makes of the current one, with its managedFields. Throws StatusError to refuse. */
type Wanted = (live: AnyObject) => AnyObject;

/** A Scale is of a built-in type, whatever it scales. */
const decodeScale = (call: Call, body: ParsedBody, patch: boolean): AnyObject =>
  decodeAs({ ...call, resource: { ...call.resource, custom: false } }, body, SCALE, schema, patch);

const writerOf = (call: Call) => ({
  manager: call.fieldManager,
  subresource: 'scale',
  apiVersion: 'autoscaling/v1',
  now: timestamp(call.server.clock.now()),
  schema,
});

const tracked = (call: Call, live: AnyObject, next: AnyObject): AnyObject => {
  const managedFields = trackUpdate({ ...writerOf(call), before: asJson(live), after: asJson(next) });
  return { ...next, metadata: { ...next.metadata, managedFields: managedFields as never } };
};

const wantedByUpdate = async (call: Call): Promise<Wanted> => {
  const scale = decodeScale(call, await parseRequest(call.request, 'Scale'), false);
  call.trail?.requestObject(scale);
  checkName(call, scale);
  return (live) => tracked(call, live, scale);
};

const PATCHES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

const patchedScale = (type: string, live: JsonObject, patch: Json): Json => {
  if (type === 'application/json-patch+json') return applyJsonPatch(live, patch);
  if (type === 'application/strategic-merge-patch+json') return applyStrategicMergePatch(live, patch, schema);
  return applyMergePatch(live, patch);
};

const wantedByApply = async (call: Call): Promise<Wanted> => {
  const bytes = await readBody(call.request);
  checkManager(call);
  call.trail?.requestPatch(bytes, 'application/apply-patch+yaml');
  const applied = parseBody(bytes, 'yaml').value;
  if (!isObject(applied)) throw badRequest('error decoding YAML: the configuration is not an object');
  const { kind, apiVersion } = applied;
  if (kind !== 'Scale' || apiVersion !== 'autoscaling/v1')
    throw badRequest(`invalid object type: ${String(apiVersion)}, Kind=${String(kind)}`);
  const force = ['true', '1'].includes(call.info.query.get('force') ?? '');
  return (live) => {
    const result = applyPatch({ ...writerOf(call), live: asJson(live), applied, force });
    if ('conflicts' in result) throw applyConflict(result.conflicts);
    const strict = { ...call, warnings: [] };
    const scale = decodeScale(strict, { value: result.object, duplicates: [], oddNumbers: undefined }, true);
    if (strict.warnings.length > 0)
      throw badRequest(`failed to create typed patch object: ${strict.warnings.join(', ')}`);
    checkName(call, scale);
    return scale;
  };
};

const wantedByPatch = async (call: Call): Promise<Wanted> => {
  const type = (call.request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim() ?? '';
  const offered = call.resource.custom ? PATCHES.filter((one) => !one.includes('strategic')) : PATCHES;
  if (!offered.includes(type)) throw unsupportedMediaType(offered);
  if (type === 'application/apply-patch+yaml') return wantedByApply(call);
  const bytes = await readBody(call.request);
  call.trail?.requestPatch(bytes, type);
  const body = parseBody(bytes, 'json');
  return (live) => {
    const value = patchedScale(type, structuredClone(asJson(live)), body.value);
    const scale = decodeScale(call, { value, duplicates: [], oddNumbers: undefined }, true);
    checkName(call, scale);
    return tracked(call, live, scale);
  };
};

/** Stands for the replicas of a custom resource that has none, which a patch has to name. */
const UNSET = -2147483648;

const replicasMissing = (call: Call, paths: ScalePaths, object: AnyObject): boolean =>
  call.resource.custom && (at(object, paths.spec) ?? null) === null;
const field = (paths: ScalePaths): string => JSON.stringify(`.${paths.spec.join('.')}`);

/** The object scaled as wanted, with those who own its replicas now. */
const scaled = (call: Call, old: AnyObject, wanted: Wanted, paths: ScalePaths): AnyObject => {
  const managers = readManagers(managedFieldsOf(old)) ?? [];
  const live = scaleOf(old, paths);
  const owners = toScale(managers, paths.spec);
  if (owners.length > 0) live.metadata.managedFields = owners as never;
  if (replicasMissing(call, paths, old)) live.spec = { replicas: UNSET };
  const scale = wanted(live);
  if (scale.spec?.replicas === UNSET) throw badRequest(`the spec replicas field ${field(paths)} cannot be empty`);
  checkScale(call, scale, old);
  const next = structuredClone(old);
  put(next, paths.spec, Number(scale.spec?.replicas ?? 0));
  const version = groupVersion(call.resource.group, call.resource.version);
  const fields = toParent(managers, readManagers(managedFieldsOf(scale)) ?? [], paths.spec, version);
  if (fields.length > 0) next.metadata.managedFields = fields as never;
  else delete next.metadata.managedFields;
  return next;
};

/** GET, PUT and PATCH of {resource}/{name}/scale. */
export const scale = async (call: Call): Promise<Response> => {
  const paths = call.resource.definition?.scale ?? BUILTIN;
  if (call.info.verb === 'get') {
    const object = parseStored(call.resource, (await load(call)).bytes);
    if (replicasMissing(call, paths, object))
      throw badRequest(`the spec replicas field ${field(paths)} does not exist`);
    return objectResponse(call, 200, scaleOf(object, paths));
  }
  const wanted = call.info.verb === 'patch' ? await wantedByPatch(call) : await wantedByUpdate(call);
  const plain: Call = { ...call, accept: { media: 'json', as: '', version: '', pretty: false } };
  const transform: Transform = (old) => ({ next: scaled(call, old, wanted, paths), tracked: true });
  const view = {
    of: (object: AnyObject) => scaleOf(object, paths),
    into: (object: AnyObject, seen: AnyObject) => {
      const replicas = Number(seen.spec?.replicas ?? 0);
      if (replicas !== Number(at(object, paths.spec) ?? 0)) put(object, paths.spec, replicas);
    },
  };
  const response = await updateObject(plain, transform, { retries: 5, view });
  return objectResponse(call, 200, scaleOf((await response.json()) as AnyObject, paths));
};
