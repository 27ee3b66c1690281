import type { GroupVersionResource, KubeObject } from '../machinery/object.ts';
import type { PlannedWrite } from './controller.ts';
import { expectsOf, targetOf } from './owners.ts';

/** Deep equality of JSON values; an undefined field is an absent one. */
export const sameJson = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => sameJson(item, b[i]));
  }
  const x = a as Record<string, unknown>;
  const y = b as Record<string, unknown>;
  for (const key of Object.keys(x)) if (!sameJson(x[key], y[key])) return false;
  for (const key of Object.keys(y)) if (y[key] !== undefined && x[key] === undefined) return false;
  return true;
};

/** The JSON merge patch from one object to another: lists as a whole, null for what goes; undefined when equal. */
export const mergeDifference = (from: object | undefined, to: object): Record<string, unknown> | undefined => {
  const patch: Record<string, unknown> = {};
  const old = (from ?? {}) as Record<string, unknown>;
  const next = to as Record<string, unknown>;
  for (const key of Object.keys(next)) {
    const a = old[key];
    const b = next[key];
    if (sameJson(a, b) || b === undefined) continue;
    if (isObject(a) && isObject(b)) patch[key] = mergeDifference(a, b);
    else patch[key] = b;
  }
  for (const key of Object.keys(old)) if (old[key] !== undefined && next[key] === undefined) patch[key] = null;
  return Object.keys(patch).length > 0 ? patch : undefined;
};

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The write that makes an object's status the given one; none when it is. */
export const statusWrite = (
  object: KubeObject & { status?: object },
  resource: GroupVersionResource,
  status: object,
  expects: { uid: string; resourceVersion?: string } = expectsOf(object),
): PlannedWrite[] => {
  const difference = mergeDifference(object.status, status);
  if (!difference) return [];
  return [
    { op: 'patch', resource, target: targetOf(object), merge: { status: difference }, expects, subresource: 'status' },
  ];
};
