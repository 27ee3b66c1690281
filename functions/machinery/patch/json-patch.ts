import type { Json, JsonObject } from '../object.ts';
import { badRequest, genericFailure, type StatusError, tooLarge } from '../status.ts';
import { equalJson } from './equal.ts';

/** More operations than this in one patch are refused with 413, as upstream does. */
export const maxOperations = 10_000;
/** Bytes of JSON that the `copy` operations of one patch may add together. */
const maxCopied = 3 * 1024 * 1024;

/** Upstream says no more of an operation that cannot be done to a client; why it cannot is the error's `cause`. */
const refused = (why: string): StatusError => {
  const error = genericFailure(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
  error.cause = why;
  return error;
};
const missing = (op: string, path: string): StatusError =>
  refused(`${op} operation does not apply: doc is missing path: "${path}": missing value`);
/** How the cause of a `test` that failed ends. */
export const TEST_FAILED = 'test failed';

interface Operation {
  op: string;
  path: string;
  from: string;
  value: Json;
}

const readOperation = (raw: Json): Operation => {
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw))
    throw badRequest('a JSON patch operation must be an object');
  const { op, path, from, value } = raw;
  if (typeof op !== 'string') throw refused('Unexpected kind: unknown');
  if (typeof path !== 'string') throw refused(`${op} operation failed to decode path: missing value`);
  if ((op === 'move' || op === 'copy') && typeof from !== 'string')
    throw refused(`${op} operation failed to decode from: operation, missing from field: missing value`);
  return { op, path, from: typeof from === 'string' ? from : '', value: value ?? null };
};

const tokensOf = (pointer: string): string[] => {
  if (pointer === '') return [];
  // As upstream's library has it, what stands before the first slash is not looked at.
  const slash = pointer.indexOf('/');
  if (slash < 0) throw refused(`doc is missing path: "${pointer}": missing value`);
  const parts = pointer.slice(slash + 1).split('/');
  return pointer.includes('~') ? parts.map((p) => p.replaceAll('~1', '/').replaceAll('~0', '~')) : parts;
};

/** Index of an existing element (or of the end, with `insert`); negative ones count from the end, as upstream's library has it. */
const indexOf = (list: Json[], token: string, insert: boolean): number => {
  if (insert && token === '-') return list.length;
  if (!/^-?(0|[1-9]\d*)$/.test(token)) return -1;
  const size = insert ? list.length + 1 : list.length;
  const index = Number(token);
  const absolute = index < 0 ? index + size : index;
  return absolute < size ? absolute : -1;
};

const child = (node: Json, token: string): Json | undefined => {
  if (Array.isArray(node)) {
    const index = indexOf(node, token, false);
    return index < 0 ? undefined : node[index];
  }
  return node !== null && typeof node === 'object' && Object.hasOwn(node, token) ? node[token] : undefined;
};

const find = (root: Json, tokens: string[]): Json | undefined => {
  let node: Json | undefined = root;
  for (const token of tokens) {
    if (node === undefined) return undefined;
    node = child(node, token);
  }
  return node;
};

type Edit = 'add' | 'replace' | 'remove';

const editList = (list: Json[], token: string, edit: Edit, value: Json): Json[] | undefined => {
  const index = indexOf(list, token, edit === 'add');
  if (index < 0) return undefined;
  return edit === 'add'
    ? list.toSpliced(index, 0, value)
    : edit === 'remove'
      ? list.toSpliced(index, 1)
      : list.with(index, value);
};

const editObject = (node: JsonObject, token: string, edit: Edit, value: Json): JsonObject | undefined => {
  // Upstream's library replaces a key that is not there, too.
  if (edit === 'remove' && !Object.hasOwn(node, token)) return undefined;
  const out: JsonObject = Object.assign(Object.create(null), node);
  if (edit === 'remove') delete out[token];
  else out[token] = value;
  return { ...out };
};

/** A copy of the way to the edited place, everything beside it shared; undefined where the place does not exist. */
const editAt = (node: Json, tokens: string[], depth: number, edit: Edit, value: Json): Json | undefined => {
  const token = tokens[depth];
  if (token === undefined) return edit === 'remove' ? undefined : value;
  if (node === null || typeof node !== 'object') return undefined;
  if (depth === tokens.length - 1) {
    return Array.isArray(node) ? editList(node, token, edit, value) : editObject(node, token, edit, value);
  }
  const below = child(node, token);
  const edited = below === undefined ? undefined : editAt(below, tokens, depth + 1, edit, value);
  if (edited === undefined) return undefined;
  return Array.isArray(node) ? node.with(indexOf(node, token, false), edited) : { ...node, [token]: edited };
};

const change = (root: Json, edit: Edit, path: string, value: Json): Json => {
  const tokens = tokensOf(path);
  // Only a replacement is done to the whole document.
  if (tokens.length === 0 && edit !== 'replace') throw missing(edit, path);
  const out = editAt(root, tokens, 0, edit, value);
  if (out !== undefined) return out;
  const last = tokens.at(-1) ?? '';
  if (edit === 'remove' && find(root, tokens.slice(0, -1)) !== undefined)
    throw refused(`error in remove for path: '${path}': Unable to remove nonexistent key: ${last}: missing value`);
  throw missing(edit, path);
};

const source = (root: Json, o: Operation): Json => {
  const value = find(root, tokensOf(o.from));
  if (value === undefined) throw missing(o.op, o.from);
  return value;
};

const test = (root: Json, o: Operation): Json => {
  if (!equalJson(find(root, tokensOf(o.path)) ?? null, o.value))
    throw refused(`testing value ${o.path} failed: ${TEST_FAILED}`);
  return root;
};

/**
 * RFC 6902 as the API server applies it. The document is not changed; the result shares what was not touched.
 * Throws StatusError: 400 for a patch that is no list of objects, 413 for too many operations or too much copied, 422 for
 * an operation that does not apply or a `test` that fails.
 */
export const applyJsonPatch = (document: Json, patch: Json): Json => {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch must be a list of operations');
  if (patch.length > maxOperations) {
    throw tooLarge(`The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`);
  }
  let root = document;
  let copied = 0;
  for (const raw of patch) {
    const o = readOperation(raw);
    if (o.op === 'add' || o.op === 'replace') root = change(root, o.op, o.path, o.value);
    else if (o.op === 'remove') root = change(root, 'remove', o.path, null);
    else if (o.op === 'test') root = test(root, o);
    else if (o.op === 'move') {
      const value = source(root, o);
      root = change(change(root, 'remove', o.from, null), 'add', o.path, value);
    } else if (o.op === 'copy') {
      // As upstream's library has it, what is not there is copied as null.
      const value = find(root, tokensOf(o.from)) ?? null;
      copied += JSON.stringify(value).length;
      if (copied > maxCopied) throw tooLarge('the copy operations of the patch add too much');
      root = change(root, 'add', o.path, value);
    } else throw refused(`Unexpected kind: ${o.op}`);
  }
  return root;
};
