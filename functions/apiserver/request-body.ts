import { type ParsedBody, parseBody } from '../machinery/body.ts';
import { decodeKind } from '../machinery/decode.ts';
import { groupVersion, type Json, type JsonObject } from '../machinery/object.ts';
import { decodeProtobuf } from '../machinery/protobuf/codec.ts';
import type { ObjectSchema } from '../machinery/schema.ts';
import { badRequest, type Cause, cause, invalid, tooLarge, unsupportedMediaType } from '../machinery/status.ts';
import type { AnyObject, Call } from './context.ts';

/** Largest request body, in bytes: upstream's limit. */
export const bodyBytesMax = 3 * 1024 * 1024;

/** The whole body. Throws a 413 Status beyond the limit. */
export const readBody = async (request: Request): Promise<Uint8Array> => {
  const over = () => tooLarge(`Request entity too large: limit is ${bodyBytesMax}`);
  if (Number(request.headers.get('content-length') ?? 0) > bodyBytesMax) throw over();
  const bytes = await request.bytes();
  if (bytes.byteLength > bodyBytesMax) throw over();
  return bytes;
};

const mediaType = (request: Request): string =>
  (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';

/** Parses a body by its content type: JSON, YAML or protobuf. Throws 415 for others, 400 for bad syntax. */
export const parseRequest = async (request: Request): Promise<ParsedBody> => {
  const type = mediaType(request);
  const bytes = await readBody(request);
  if (type === 'application/vnd.kubernetes.protobuf')
    return { value: decodeProtobuf(bytes), duplicates: [], oddNumbers: undefined };
  if (type === 'application/yaml') return parseBody(bytes, 'yaml');
  if (type === 'application/json' || type === '') return parseBody(bytes, 'json');
  throw unsupportedMediaType(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf']);
};

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** The fieldValidation of a write; Warn when not given. */
export const fieldValidationOf = (call: Call): FieldValidation =>
  (call.info.query.get('fieldValidation') || 'Warn') as FieldValidation;

/** Reports unknown and duplicate fields as fieldValidation asks: nothing, warnings, or a 400 (422 in a patch). */
export const reportStrict = (call: Call, strict: readonly string[], patch: boolean): void => {
  const level = fieldValidationOf(call);
  if (strict.length === 0 || level === 'Ignore') return;
  if (level === 'Warn') {
    for (const text of strict) if (!call.warnings.includes(text)) call.warnings.push(text);
    return;
  }
  const message = `strict decoding error: ${strict.join(', ')}`;
  if (!patch)
    throw badRequest(
      `${call.resource.kind} in version ${JSON.stringify(call.resource.version)} cannot be handled as a ${call.resource.kind}: ${message}`,
    );
  throw badPatch(message);
};

/** A patch whose result is not an object of its kind: 422 that names only the patch. */
export const badPatch = (message: string) =>
  invalid({ group: '', kind: '', name: '' }, [cause.invalid('patch', '', message)]);

interface Gvk {
  group: string;
  version: string;
  kind: string;
}

/**
 * A custom resource names both. Upstream reads any kind of its group version, and refuses another in the object's
 * validation; a patch may write another apiVersion too, which is refused there as well.
 */
const checkCustomKind = (value: JsonObject, expected: Gvk, wanted: string, patch: boolean): void => {
  const { apiVersion, kind } = value;
  if (!kind) {
    const text = JSON.stringify(value);
    throw badRequest(
      `the object provided is unrecognized (must be of type ${expected.kind}): Object 'Kind' is missing in '${text}'`,
    );
  }
  if (apiVersion !== wanted && !patch)
    throw badRequest(
      `the API version in the data (${String(apiVersion ?? '')}) does not match the expected API version (${wanted})`,
    );
  const causes: Cause[] = [];
  if (kind !== expected.kind) causes.push(cause.invalid('kind', kind, `must be ${expected.kind}`));
  if (apiVersion !== wanted) causes.push(cause.invalid('apiVersion', apiVersion ?? '', `must be ${wanted}`));
  if (causes.length === 0) return;
  const name = isObject(value.metadata) && typeof value.metadata.name === 'string' ? value.metadata.name : '';
  throw invalid({ group: expected.group, kind: String(kind), name }, causes);
};

/** Checks apiVersion and kind of a body against what the endpoint takes; both may be absent for built-in kinds. */
export const checkKind = (value: Json, expected: Gvk, custom = false, patch = false): JsonObject => {
  if (!isObject(value))
    throw badRequest(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  const { apiVersion, kind } = value;
  const wanted = groupVersion(expected.group, expected.version);
  if (
    (apiVersion !== undefined && apiVersion !== null && typeof apiVersion !== 'string') ||
    (kind !== undefined && kind !== null && typeof kind !== 'string')
  )
    throw badRequest(
      "couldn't get version/kind; json parse error: json: cannot unmarshal into Go struct field .apiVersion of type string",
    );
  if (custom) {
    checkCustomKind(value, expected, wanted, patch);
    return value;
  }
  if ((apiVersion && apiVersion !== wanted) || (kind && kind !== expected.kind))
    throw badRequest(
      `${String(kind || expected.kind)} in version ${JSON.stringify(
        String(apiVersion || wanted)
          .split('/')
          .pop(),
      )} cannot be handled as a ${expected.kind}: no kind ${JSON.stringify(kind || expected.kind)} is registered for version ${JSON.stringify(apiVersion || wanted)}`,
    );
  return value;
};

/** Decodes a parsed body as a kind with its defaults. */
export const decodeAs = (call: Call, body: ParsedBody, gvk: Gvk, schema: ObjectSchema, patch = false): AnyObject => {
  checkKind(body.value, gvk, call.resource.custom && gvk.kind === call.resource.kind, patch);
  const { value, strict } = decodeKind<JsonObject>(schema, body, gvk, {
    defaults: true,
    lenient: call.resource.custom,
  });
  reportStrict(call, strict, patch);
  const object = value as unknown as AnyObject;
  object.apiVersion = groupVersion(gvk.group, gvk.version);
  object.kind = gvk.kind;
  object.metadata ??= {};
  // Decoding drops an empty list here as Go's encoding does; yet it says something: forget who owns what.
  const given = (body.value as { metadata?: { managedFields?: unknown } }).metadata?.managedFields;
  if (Array.isArray(given) && given.length === 0) object.metadata.managedFields = [];
  return object;
};

const optionsKind: Record<string, string> = {
  create: 'CreateOptions',
  update: 'UpdateOptions',
  patch: 'PatchOptions',
  delete: 'DeleteOptions',
  deletecollection: 'DeleteOptions',
};

/** Validates dryRun, fieldValidation and fieldManager of a write's query, as upstream's *Options validation. */
export const checkWriteOptions = (verb: string, query: URLSearchParams): { dryRun: boolean; manager: string } => {
  const dry = query.getAll('dryRun').filter((v) => v !== '');
  const validation = query.get('fieldValidation') ?? '';
  const manager = query.get('fieldManager') ?? '';
  const causes = [];
  if (dry.some((v) => v !== 'All')) causes.push(cause.notSupported('dryRun', dry, ['All']));
  if (
    validation &&
    verb !== 'delete' &&
    verb !== 'deletecollection' &&
    !['Ignore', 'Warn', 'Strict'].includes(validation)
  )
    causes.push(cause.notSupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  if (manager.length > 128) causes.push(cause.tooLong('fieldManager', 128));
  if ([...manager].some((c) => c < ' ' || c === '\u007f'))
    causes.push(cause.invalid('fieldManager', manager, 'should only contain printable characters'));
  if (causes.length)
    throw invalid({ group: 'meta.k8s.io', kind: optionsKind[verb] ?? 'CreateOptions', name: '' }, causes);
  return { dryRun: dry.length > 0, manager };
};

/** The manager of a write without fieldManager: the user agent up to its first slash. */
export const managerOf = (userAgent: string | null): string => {
  const name = (userAgent ?? '').split('/', 1)[0] ?? '';
  return (
    [...name]
      .filter((c) => c >= ' ' && c !== '\u007f')
      .join('')
      .slice(0, 128) || 'unknown'
  );
};
