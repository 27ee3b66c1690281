/** What a decode carries along, the path it stands at as upstream writes it, and the sentence for a wrong type. */
import type { ParsedBody } from './body.ts';
import type { Json } from './object.ts';
import { badRequest } from './status.ts';

export interface Walk {
  defaults: boolean;
  lenient: boolean;
  oddNumbers: ParsedBody['oddNumbers'];
  strict: string[];
  /** Field names, list indexes and map keys from the root to here; a key comes after `MAP_KEY`. */
  path: (string | number)[];
  /** Type names of the structs from the root to here, for error texts. */
  structs: string[];
}
export type Decoder = (value: Json, walk: Walk) => Json;

/** Stands before a map's key in a path: Go's sentences leave keys out. */
export const MAP_KEY = -1;

/** Paths as upstream writes them: spec.containers[0].name. */
export const pathText = (path: readonly (string | number)[]): string => {
  let text = '';
  for (const p of path) if (p !== MAP_KEY) text += typeof p === 'number' ? `[${p}]` : text ? `.${p}` : p;
  return text;
};

const jsonKind = (value: Json): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
};

/** Go's sentence for a JSON value that does not fit; with `lenient`, the value as it is. */
export const mismatch = (value: Json, goType: string, walk: Walk, shown = jsonKind(value)): Json => {
  if (walk.lenient) return value;
  const field = walk.path.filter((p, i) => typeof p === 'string' && walk.path[i - 1] !== MAP_KEY).join('.');
  const struct = walk.structs.at(-1) ?? '';
  const where = field ? `Go struct field ${struct}.${field}` : 'Go value';
  throw badRequest(`json: cannot unmarshal ${shown} into ${where} of type ${goType}`);
};
