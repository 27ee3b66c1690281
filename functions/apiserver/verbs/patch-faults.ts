// What a client is told of a patch that cannot be read, or whose result is no object of its kind: upstream's sentences.
import { goValue } from '../../machinery/go-value.ts';
import type { Json } from '../../machinery/object.ts';
import { badRequest, StatusError } from '../../machinery/status.ts';
import { badPatch } from '../request-body.ts';

const STRATEGIC = 'application/strategic-merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';

const jsonType = (value: Json): string =>
  Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value;

/** A patch's text that is no JSON, given what the parser said. */
export const unreadablePatch = (type: string, error: unknown): unknown => {
  if (!(error instanceof StatusError)) return error;
  const sentence = error.message.replace(/^couldn't get version\/kind; json parse error: /, '');
  return badRequest(type === STRATEGIC ? sentence : `error decoding patch: ${sentence}`);
};

/** Throws 400 for a patch of the wrong form. Null is a patch without effect, unless it is a merge patch. */
export const checkPatchForm = (type: string, patch: Json): void => {
  const refuse = (value: Json, goType: string) =>
    badRequest(
      `${type === STRATEGIC ? '' : 'error decoding patch: '}json: cannot unmarshal ${jsonType(value)} into Go value of type ${goType}`,
    );
  if (type === JSON_PATCH) {
    if (patch === null) return;
    if (!Array.isArray(patch)) throw refuse(patch, '[]handlers.jsonPatchOp');
    for (const operation of patch)
      if (typeof operation !== 'object' || operation === null || Array.isArray(operation))
        throw refuse(operation, 'handlers.jsonPatchOp');
    return;
  }
  if (patch === null && type !== STRATEGIC) throw badRequest('Invalid JSON Patch');
  if (patch !== null && (typeof patch !== 'object' || Array.isArray(patch)))
    throw refuse(patch, 'map[string]interface {}');
};

const KINDS: Record<string, string> = {
  array: 'slice',
  object: 'map',
  number: 'int64',
  bool: 'bool',
  string: 'string',
};

/** What comes before a decoder's sentence where a whole object was sent. */
const PREFIX = /^\S+ in version "[^"]*" cannot be handled as a \S+: /;

/** Upstream builds the result of a strategic merge patch from maps, and words what does not fit in another way. */
const converterSentence = (sentence: string): string => {
  const found = /json: cannot unmarshal (array|object|number|bool|string)\b.* of type (\S+)$/.exec(sentence);
  if (!found) return sentence.replace(PREFIX, '');
  const kind = KINDS[found[1] ?? ''] ?? '';
  const wanted = found[2] ?? '';
  if (wanted.startsWith('map[')) return `cannot restore map from ${kind}`;
  if (wanted.startsWith('[]')) return `cannot restore slice from ${kind}`;
  if (/^\w+\.[A-Z]/.test(wanted)) return `cannot restore struct from: ${kind}`;
  if (kind === 'int64' && wanted === 'string') return 'cannot convert int64 to string';
  return `unrecognized type: ${wanted}`;
};

/** 422 for a patch whose result does not decode: it shows the result, or the patch where it is a strategic one. */
export const unfitPatch = (type: string, patch: Json, result: Json, sentence: string): StatusError =>
  type === STRATEGIC
    ? badPatch(converterSentence(sentence), goValue(patch))
    : badPatch(sentence.replace(PREFIX, ''), JSON.stringify(result));
