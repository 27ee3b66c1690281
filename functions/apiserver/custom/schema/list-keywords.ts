import { type Cause, cause } from '../../../machinery/status.ts';
import type { Structural } from './structural.ts';

/** Checks that are not held against a definition that was stored before them. */
export interface KeywordOptions {
  validTypes: boolean;
  /** Items of sets are atomic. */
  atomicSets: boolean;
  /** Keys of map lists are required or have a default, and are not nullable. */
  mapKeys: boolean;
}

const LIST = 'x-kubernetes-list-type';
const KEYS = 'x-kubernetes-list-map-keys';
const MAP = 'x-kubernetes-map-type';
type Out = Cause[];

const mustBe = (out: Out, s: Structural, wanted: string, keyword: string, path: string): void => {
  const why = `must be ${wanted} if ${keyword} is specified`;
  out.push(s.type ? cause.invalid(`${path}.type`, s.type, why) : cause.required(`${path}.type`, why));
};

const checkSet = (out: Out, items: Structural, path: string): void => {
  const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  const listType = items[LIST];
  if (items.type === 'array' && listType !== undefined && listType !== 'atomic')
    out.push(cause.invalid(`${path}.items.${LIST}`, listType, why));
  if (items.type === 'object' && items[MAP] !== 'atomic')
    out.push(cause.invalid(`${path}.items.${MAP}`, listType ?? null, why));
};

const checkMap = (out: Out, s: Structural, path: string): void => {
  const keys = s[KEYS] ?? [];
  const at = `${path}.${KEYS}`;
  if (keys.length === 0) out.push(cause.required(at, `must not be empty if ${LIST} is map`));
  const { items } = s;
  if (!items) {
    out.push(cause.required(`${path}.items`, `must have a schema if ${LIST} is map`));
    return;
  }
  if (Array.isArray(items)) {
    out.push(cause.invalid(`${path}.items`, items, `must only have a single schema if ${LIST} is map`));
    return;
  }
  if (items.type !== 'object') {
    const why = `must be object if parent array's ${LIST} is map`;
    out.push(cause.invalid(`${path}.items.type`, items.type ?? '', why));
    return;
  }
  const seen = new Set<string>();
  for (const key of keys) {
    const field = items.properties?.[key];
    if (!field) out.push(cause.invalid(at, keys, 'entries must all be names of item properties'));
    else if (field.type === 'array' || field.type === 'object') {
      const why = `must be a scalar type if parent array's ${LIST} is map`;
      out.push(cause.invalid(`${path}.items.properties[${key}].type`, items.type, why));
    }
    if (seen.has(key)) out.push(cause.invalid(at, keys, 'must not contain duplicate entries'));
    seen.add(key);
  }
};

/** x-kubernetes-list-type, x-kubernetes-list-map-keys and x-kubernetes-map-type of one schema. */
export const checkListType = (out: Out, s: Structural, path: string, options: KeywordOptions): void => {
  const mapType = s[MAP];
  const listType = s[LIST];
  if (mapType !== undefined) {
    if (s.type !== 'object') mustBe(out, s, 'object', MAP, path);
    if (mapType !== 'atomic' && mapType !== 'granular')
      out.push(cause.notSupported(`${path}.${MAP}`, mapType, ['atomic', 'granular']));
  }
  if (listType !== undefined) {
    if (s.type !== 'array') mustBe(out, s, 'array', LIST, path);
    else if (options.atomicSets && listType === 'set' && s.items && !Array.isArray(s.items))
      checkSet(out, s.items, path);
    if (!['atomic', 'set', 'map'].includes(listType))
      out.push(cause.notSupported(`${path}.${LIST}`, listType, ['atomic', 'set', 'map']));
  }
  if (s[KEYS]?.length && listType !== 'map') {
    const why = `must be map if ${KEYS} is non-empty`;
    const at = `${path}.${LIST}`;
    out.push(listType === undefined ? cause.required(at, why) : cause.invalid(at, listType, why));
  }
  if (listType === 'map') checkMap(out, s, path);
};

/** Keys of map lists that may be absent or null, and nullable items of lists with unique items. */
export const mapKeyCauses = (s: Structural, path: string): Cause[] => {
  const out: Cause[] = [];
  const listType = s[LIST];
  const { items } = s;
  if (!items || Array.isArray(items) || (listType !== 'set' && listType !== 'map')) return out;
  if (items.nullable)
    out.push(cause.forbidden(`${path}.items.nullable`, `cannot be nullable when ${LIST} is ${listType}`));
  if (listType !== 'map') return out;
  for (const key of s[KEYS] ?? []) {
    const field = items.properties?.[key];
    if (!field) continue;
    const at = `${path}.items.properties[${key}]`;
    const why = `this property is in ${KEYS}, so it`;
    if (!items.required?.includes(key) && (field.default === undefined || field.default === null))
      out.push(cause.required(`${at}.default`, `${why} must have a default or be a required property`));
    if (field.nullable) out.push(cause.forbidden(`${at}.nullable`, `${why} cannot be nullable`));
  }
  return out;
};
