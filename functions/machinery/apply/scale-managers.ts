import { difference, type FieldNode, fieldsOf, has } from './fields.ts';
import { type ManagedFields, sameManager, sortManagers } from './managers.ts';

const SCALE = 'autoscaling/v1';
const replicas: FieldNode = fieldsOf([['spec', 'replicas']]) ?? {};
const elements = (path: readonly string[]): string[] => path.map((name) => `f:${name}`);
const withoutTime = ({ time: _gone, ...entry }: ManagedFields): ManagedFields => entry;
const timed = (entry: ManagedFields, time: string | undefined): ManagedFields =>
  time === undefined ? withoutTime(entry) : { ...entry, time };

/**
 * Who owns an object's replicas, as managers of its Scale (KEP-2764): `path` is where the object keeps them. The Scale's
 * own managedFields never leave the server.
 */
export const toScale = (parent: readonly ManagedFields[], path: readonly string[]): ManagedFields[] =>
  parent
    .filter((entry) => has(entry.fieldsV1, elements(path)))
    .map((entry) => ({ ...entry, apiVersion: SCALE, fieldsV1: replicas }));

/**
 * The object's managers after its Scale was written with `scale`. As upstream, an owner is known by its version too unless
 * it applies, so the entry of one that updated is split from its replicas, and loses its time.
 */
export const toParent = (
  parent: readonly ManagedFields[],
  scale: readonly ManagedFields[],
  path: readonly string[],
  apiVersion: string,
): ManagedFields[] => {
  const out: ManagedFields[] = [];
  const left = new Set(scale);
  for (const entry of parent) {
    const own = scale.find((e) => sameManager(e, entry));
    if (!has(entry.fieldsV1, elements(path))) out.push(entry);
    else if (own) {
      out.push(entry);
      left.delete(own);
    } else {
      const rest = difference(entry.fieldsV1, fieldsOf([path]));
      if (rest) out.push({ ...entry, fieldsV1: rest });
    }
  }
  for (const entry of left) {
    if (!has(entry.fieldsV1, ['f:spec', 'f:replicas'])) continue;
    const known = parent.find((e) => sameManager(e, entry));
    out.push(timed({ ...entry, apiVersion, fieldsV1: fieldsOf([path]) ?? {} }, known?.time));
  }
  return sortManagers(out);
};
