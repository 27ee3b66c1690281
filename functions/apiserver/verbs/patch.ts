import { timestamp } from '../../clock/clock.ts';
import { applyConflict, applyPatch } from '../../machinery/apply/apply.ts';
import { type ParsedBody, parseBody } from '../../machinery/body.ts';
import { groupVersion, type Json, type JsonObject, parseGroupVersion } from '../../machinery/object.ts';
import { applyJsonPatch } from '../../machinery/patch/json-patch.ts';
import { applyMergePatch } from '../../machinery/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../../machinery/patch/strategic.ts';
import {
  badRequest,
  cause,
  conflict,
  genericFailure,
  invalid,
  StatusError,
  unsupportedMediaType,
} from '../../machinery/status.ts';
import type { AnyObject, Call } from '../context.ts';
import { decodeAs, isObject, readBody, reportStrict } from '../request-body.ts';
import { asJson } from '../stored-object.ts';
import { allowedToCreate, createObject } from './create.ts';
import { checkPatchForm, unfitPatch, unreadablePatch } from './patch-faults.ts';
import { resetOf } from './separate.ts';
import { type Transform, updateObject } from './update-object.ts';

const APPLY = 'application/apply-patch+yaml';
/** Of custom resources, which have no strategic merge. */
const customTypes = ['application/json-patch+json', 'application/merge-patch+json', APPLY];
const types = [...customTypes, 'application/strategic-merge-patch+json'];

/** Upstream's refusal of an object that has another name than the path, or none. */
const misnamed = (name: unknown, wanted: string) =>
  badRequest(
    name
      ? `the name of the object (${String(name)}) does not match the name on the URL (${wanted})`
      : `the name of the object (${wanted} based on URL) was undeterminable: name must be provided`,
  );

/** The patched object as its kind. What does not decode is the patch's fault: 422 with the cause `patch`. */
const decoded = (call: Call, type: string, patch: Json, value: Json): AnyObject => {
  const { resource, info } = call;
  const body = { value, duplicates: [], oddNumbers: undefined };
  let object: AnyObject;
  try {
    object = decodeAs(call, body, resource, resource.schema, true);
  } catch (error) {
    if (error instanceof StatusError && error.code === 400) throw unfitPatch(type, patch, value, error.message);
    throw error;
  }
  if (object.metadata.name !== info.name) throw misnamed(object.metadata.name, info.name);
  if (resource.namespaced && object.metadata.namespace !== info.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  resource.strategy.defaults?.(object);
  return object;
};

const patched = (call: Call, type: string, old: AnyObject, patch: Json): Json => {
  const live = asJson(old);
  if (type === 'application/json-patch+json')
    return patch === null ? live : applyJsonPatch(structuredClone(live), patch);
  if (type === 'application/merge-patch+json') return applyMergePatch(live, patch);
  if (patch === null) return live;
  // The result is read as the kind that was patched, whatever the patch says of it.
  const { apiVersion, kind } = live;
  return {
    ...applyStrategicMergePatch(live, patch, call.resource.schema),
    apiVersion: apiVersion ?? '',
    kind: kind ?? '',
  };
};

/** A kind as Go shows it: `apps/v1, Kind=Deployment`. */
const kindText = ({ group, version, kind }: { group: string; version: string; kind: string }): string =>
  `${group}/${version}, Kind=${kind}`;

/** What upstream says of fields that no schema declares; with status 400, as the fault is the client's. */
const undeclared = (
  { resource }: Call,
  warnings: readonly string[],
  { name, namespace = '' }: AnyObject['metadata'],
) => {
  const lines = warnings.map((text) => {
    const path = /^unknown field "(.*)"$/.exec(text)?.[1];
    return path === undefined ? text : `.${path}: field not declared in schema`;
  });
  const shown = lines.length === 1 ? ` ${lines[0]}` : ` errors:\n  ${lines.join('\n  ')}`;
  return badRequest(`failed to create typed patch object (${namespace}/${name}; ${kindText(resource)}):${shown}`);
};

/** An applied configuration may hold declared fields only, whatever fieldValidation says. */
const declared = (call: Call, value: JsonObject, namespace: string): AnyObject => {
  const { resource } = call;
  const body = { value, duplicates: [], oddNumbers: undefined };
  const warnings: string[] = [];
  const query = new URLSearchParams(call.info.query);
  query.set('fieldValidation', 'Warn');
  const own = { ...call, warnings, info: { ...call.info, query } };
  const object = decodeAs(own, body, resource, resource.schema, true);
  if (warnings.length) {
    throw undeclared(call, warnings, { ...object.metadata, namespace });
  }
  resource.strategy.defaults?.(object);
  return object;
};

const applied = (call: Call, body: ParsedBody, old: AnyObject | undefined): { next: AnyObject; tracked: true } => {
  const { resource, info, server } = call;
  const configuration = body.value as JsonObject;
  const given = isObject(configuration.metadata) ? configuration.metadata.namespace : undefined;
  const namespace = typeof given === 'string' ? given : '';
  const result = applyPatch({
    live: old && asJson(old),
    applied: configuration,
    schema: resource.schema,
    force: info.query.get('force') === 'true' || info.query.get('force') === '1',
    manager: call.fieldManager,
    subresource: info.subresource,
    apiVersion: groupVersion(resource.group, resource.version),
    now: timestamp(server.clock.now()),
    resetFields: resetOf(call),
  });
  if ('conflicts' in result) {
    // What the configuration cannot be comes before who owns its fields.
    declared(call, configuration, namespace);
    throw applyConflict(result.conflicts);
  }
  return { next: declared(call, result.object, namespace), tracked: true };
};

const checkApply = (call: Call, body: ParsedBody): void => {
  const { resource, info } = call;
  const { apiVersion, kind, metadata } = body.value as JsonObject;
  const wanted = groupVersion(resource.group, resource.version);
  if (apiVersion !== wanted || kind !== resource.kind) {
    const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
    const given = { ...parseGroupVersion(text(apiVersion)), kind: text(kind) };
    throw badRequest(`invalid object type: ${kindText(given)}`);
  }
  const meta = isObject(metadata) ? metadata : undefined;
  if (meta?.name && meta.name !== info.name) throw misnamed(JSON.stringify(meta.name).replace(/^"|"$/g, ''), info.name);
  if (resource.namespaced && meta?.namespace !== undefined && meta.namespace !== info.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  reportStrict(call, body.duplicates, true);
};

/** An apply must say whose it is. */
export const checkManager = (call: Call): void => {
  if (call.info.query.get('fieldManager')) return;
  throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions', name: '' }, [
    cause.required('fieldManager', 'is required for apply patch'),
  ]);
};

/** A configuration that names a uid means an object that was there; one that names nothing makes nothing. */
const checkAbsent = (call: Call, body: ParsedBody): void => {
  const { group, resource } = call.resource;
  const meta = isObject(body.value) && isObject(body.value.metadata) ? body.value.metadata : undefined;
  if (!meta?.name) throw misnamed('', call.info.name);
  if (meta?.uid)
    throw conflict(
      { group, kind: resource, name: call.info.name },
      `uid mismatch: the provided object specified uid ${String(meta.uid)}, and no existing object was found`,
    );
};

/** Fields of a JSON patch's operations that no operation has, as strict errors. */
const unknownFields = (patch: Json): string[] => {
  if (!Array.isArray(patch)) return [];
  const known = ['op', 'from', 'path', 'value'];
  return patch.flatMap((operation, i) =>
    isObject(operation)
      ? Object.keys(operation)
          .filter((key) => !known.includes(key))
          .map((key) => `json patch unknown field "[${i}].${key}"`)
      : [],
  );
};

/** An applied configuration's text. Throws 400 where it is no YAML. */
const parseApplied = (bytes: Uint8Array): ParsedBody => {
  let body: ParsedBody;
  try {
    body = parseBody(bytes, 'yaml');
  } catch (error) {
    throw error instanceof StatusError ? badRequest(`error decoding YAML: ${error.message}`) : error;
  }
  const { value } = body;
  if (isObject(value)) return body;
  if (value === null) return { ...body, value: {} };
  const what = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  throw badRequest(
    `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${what} into Go value of type map[string]interface {}`,
  );
};

const apply = async (call: Call): Promise<Response> => {
  const bytes = await readBody(call.request);
  checkManager(call);
  call.trail?.requestPatch(bytes, APPLY);
  const body = parseApplied(bytes);
  checkApply(call, body);
  const onMissing = call.info.subresource
    ? undefined
    : async () => {
        await allowedToCreate(call);
        const { next } = applied(call, body, undefined);
        checkAbsent(call, body);
        next.metadata.name = call.info.name;
        delete next.metadata.resourceVersion;
        return createObject(call, next, true);
      };
  return updateObject(call, (old) => applied(call, body, old), {
    retries: 5,
    uidIsPrecondition: false,
    ...(onMissing && { onMissing }),
  });
};

export const patch = async (call: Call): Promise<Response> => {
  const type = (call.request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim() ?? '';
  if (!(call.resource.custom ? customTypes : types).includes(type))
    throw call.resource.custom
      ? unsupportedMediaType(customTypes)
      : genericFailure(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
  if (type === APPLY) return apply(call);
  if (call.info.query.get('force'))
    throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions', name: '' }, [
      cause.forbidden('force', 'may not be specified for non-apply patch'),
    ]);
  const bytes = await readBody(call.request);
  call.trail?.requestPatch(bytes, type);
  let body: ParsedBody;
  try {
    body = parseBody(bytes, 'json');
  } catch (error) {
    throw unreadablePatch(type, error);
  }
  checkPatchForm(type, body.value);
  reportStrict(call, body.duplicates, true);
  if (type === 'application/json-patch+json') reportStrict(call, unknownFields(body.value), true);
  const transform: Transform = (old) => ({
    next: decoded(call, type, body.value, patched(call, type, old, body.value)),
  });
  return updateObject(call, transform, { retries: 5, uidIsPrecondition: false });
};
