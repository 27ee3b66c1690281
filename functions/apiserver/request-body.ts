import { type ParsedBody, parseBody } from '../machinery/body.ts';
import { decodeKind } from '../machinery/decode.ts';
import { kindSchema } from '../machinery/facts.ts';
import { groupVersion, type Json, type JsonObject, parseGroupVersion } from '../machinery/object.ts';
import { decodeProtobuf } from '../machinery/protobuf/codec.ts';
import type { ObjectSchema } from '../machinery/schema.ts';
import {
  badRequest,
  type Cause,
  cause,
  invalid,
  StatusError,
  tooLarge,
  unsupportedMediaType,
} from '../machinery/status.ts';
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

const SHOWN_BYTES = 30;
/** The beginning of a body in an error text: as it is where it looks like JSON, else in hexadecimal digits. */
const shownBody = (bytes: Uint8Array): string => {
  if (bytes.byteLength === 0) return '<empty>';
  const begun = Buffer.from(bytes.subarray(0, SHOWN_BYTES));
  return begun.toString(begun[0] === 0x7b ? 'utf8' : 'hex') + (bytes.byteLength > SHOWN_BYTES ? ' ...' : '');
};

const parseText = (bytes: Uint8Array, format: 'json' | 'yaml', kind: string): ParsedBody => {
  try {
    const body = parseBody(bytes, format);
    checkTypeMeta(body.value);
    // What is null is an object without fields.
    return body.value === null ? { ...body, value: {} } : body;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const message = error.message.replace(/^error converting YAML to JSON: /, '');
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): ${message} (${shownBody(bytes)})`);
  }
};

/**
 * Parses a body by its content type: JSON, YAML or protobuf. Throws 415 for others, 400 for bad syntax and for what says
 * neither version nor kind as text; `kind` is the one that the endpoint takes.
 */
export const parseRequest = async (request: Request, kind: string): Promise<ParsedBody> => {
  const type = mediaType(request);
  const bytes = await readBody(request);
  if (type === 'application/vnd.kubernetes.protobuf')
    return { value: decodeProtobuf(bytes), duplicates: [], oddNumbers: undefined };
  if (type === 'application/yaml') return parseText(bytes, 'yaml', kind);
  if (type === 'application/json' || type === '') return parseText(bytes, 'json', kind);
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
export const badPatch = (message: string, shown = '') =>
  invalid({ group: '', kind: '', name: '' }, [cause.invalid('patch', shown, message)]);

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

const TYPE_META =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';
const jsonType = (value: Json): string =>
  Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;

/** Refuses a value whose version and kind cannot be read: 400 with Go's sentence. */
const checkTypeMeta = (value: Json): void => {
  const refuse = (what: Json, into: string) =>
    badRequest(`couldn't get version/kind; json parse error: json: cannot unmarshal ${jsonType(what)} into Go ${into}`);
  if (value === null) return;
  if (!isObject(value)) throw refuse(value, `value of type ${TYPE_META}`);
  for (const field of ['apiVersion', 'kind']) {
    const given = value[field];
    if (given !== undefined && given !== null && typeof given !== 'string')
      throw refuse(given, `struct field .${field} of type string`);
  }
};

/** Go's package of a group's internal types. */
const packageOf = (group: string): string => group.split('.', 1)[0] || 'core';

/** Why a kind is not the endpoint's, in the words of upstream's decoders. */
const notOfEndpoint = (apiVersion: string, kind: string, expected: Gvk): string => {
  const given = parseGroupVersion(apiVersion);
  if (!kindSchema(given.group, given.version, kind))
    return `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`;
  return `converting (${given.version}.${kind}) to (${packageOf(expected.group)}.${expected.kind}): unknown conversion`;
};

/** Checks apiVersion and kind of a body against what the endpoint takes; both may be absent for built-in kinds. */
export const checkKind = (value: Json, expected: Gvk, custom = false, patch = false): JsonObject => {
  checkTypeMeta(value);
  if (!isObject(value)) throw badRequest(`the body is no ${expected.kind}`);
  const { apiVersion, kind } = value as { apiVersion?: string | null; kind?: string | null };
  const wanted = groupVersion(expected.group, expected.version);
  if (custom) {
    checkCustomKind(value, expected, wanted, patch);
    return value;
  }
  if ((!apiVersion || apiVersion === wanted) && (!kind || kind === expected.kind)) return value;
  const [givenVersion, givenKind] = [apiVersion || wanted, kind || expected.kind];
  if (
    givenKind === expected.kind &&
    kindSchema(parseGroupVersion(givenVersion).group, parseGroupVersion(givenVersion).version, givenKind)
  )
    throw badRequest(
      `the API version in the data (${givenVersion}) does not match the expected API version (${wanted})`,
    );
  throw badRequest(
    `${givenKind} in version ${JSON.stringify(parseGroupVersion(givenVersion).version)} cannot be handled as a ${expected.kind}: ${notOfEndpoint(givenVersion, givenKind, expected)}`,
  );
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
