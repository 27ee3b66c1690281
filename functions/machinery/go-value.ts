import type { Json } from './object.ts';

/** A value as Go's %v shows decoded JSON: `map[a:1 b:[x y]]`, keys in order, text as it is. */
export const goValue = (value: Json | undefined): string => {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${value.map(goValue).join(' ')}]`;
  const keys = Object.keys(value).sort();
  return `map[${keys.map((key) => `${key}:${goValue(value[key])}`).join(' ')}]`;
};
