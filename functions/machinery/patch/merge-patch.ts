import type { Json, JsonObject } from '../object.ts';
import { badRequest } from '../status.ts';

const isObject = (value: Json | undefined): value is JsonObject =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

const merge = (target: Json | undefined, patch: Json): Json => {
  if (!isObject(patch)) return patch;
  const out: JsonObject = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (key === '__proto__') continue;
    if (value === null || value === undefined) delete out[key];
    else out[key] = merge(out[key], value);
  }
  return out;
};

/**
 * RFC 7386. The document is not changed; the result shares what was not touched. A patch of an API object must be an
 * object itself: anything else throws StatusError 400.
 */
export const applyMergePatch = (document: JsonObject, patch: Json): JsonObject => {
  const out = isObject(patch) ? merge(document, patch) : undefined;
  if (!isObject(out)) throw badRequest('a merge patch must be an object');
  return out;
};
