import type { OwnerReference } from '../machinery/kinds.d.ts';
import { type GroupVersionResource, type KubeObject, keyOf } from '../machinery/object.ts';
import type { PlannedWrite, WatchedChange } from './controller.ts';
import type { LabelMatch } from './selector.ts';

export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((owner) => owner.controller === true);

export const isControlledBy = (object: KubeObject, owner: KubeObject): boolean =>
  controllerOf(object)?.uid === owner.metadata.uid;

/** The controller reference that a workload puts on what it creates. */
export const ownerReference = (owner: KubeObject, apiVersion: string, kind: string): OwnerReference => ({
  apiVersion,
  kind,
  name: owner.metadata.name ?? '',
  uid: owner.metadata.uid ?? '',
  controller: true,
  blockOwnerDeletion: true,
});

/** Keys of the controller owners of a kind, of the object and of what it replaced: for Watch.keys. */
export const ownerKeys = (change: WatchedChange, kind: string, group: string): string[] => {
  const keys: string[] = [];
  for (const object of change.previous ? [change.object, change.previous] : [change.object]) {
    const owner = controllerOf(object);
    if (owner?.kind !== kind || groupOf(owner.apiVersion) !== group) continue;
    const key = keyOf(object.metadata.namespace, owner.name);
    if (!keys.includes(key)) keys.push(key);
  }
  return keys;
};

const groupOf = (apiVersion: string): string => {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
};

export const ownKey = (change: WatchedChange): string[] => [
  keyOf(change.object.metadata.namespace, change.object.metadata.name ?? ''),
];

export interface Claimed<T> {
  /** Controlled by the owner now, or once the writes are done. */
  mine: T[];
  writes: PlannedWrite[];
}

/**
 * Which of the candidates the owner controls: orphans that match are adopted, what no longer matches is released
 * (upstream's ControllerRefManager). Nothing is adopted or released by an owner that is being deleted.
 */
export const claim = <T extends KubeObject>(
  owner: KubeObject,
  reference: OwnerReference,
  matches: LabelMatch,
  candidates: readonly T[],
  resource: GroupVersionResource,
): Claimed<T> => {
  const mine: T[] = [];
  const writes: PlannedWrite[] = [];
  const dying = owner.metadata.deletionTimestamp !== undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    if (controller) {
      if (controller.uid !== reference.uid) continue;
      if (matches(object.metadata.labels)) mine.push(object);
      else if (!dying) {
        const left = (object.metadata.ownerReferences ?? []).filter((r) => r.uid !== reference.uid);
        writes.push(ownersPatch(object, resource, left));
      }
      continue;
    }
    if (dying || object.metadata.deletionTimestamp || !matches(object.metadata.labels)) continue;
    mine.push(object);
    writes.push(ownersPatch(object, resource, [...(object.metadata.ownerReferences ?? []), reference]));
  }
  return { mine, writes };
};

export const ownersPatch = (
  object: KubeObject,
  resource: GroupVersionResource,
  owners: OwnerReference[],
  finalizers?: string[],
): PlannedWrite => ({
  op: 'patch',
  resource,
  target: targetOf(object),
  merge: {
    metadata: { ownerReferences: owners.length > 0 ? owners : null, ...(finalizers && { finalizers }) },
  },
  expects: expectsOf(object),
});

export const targetOf = (object: KubeObject) => ({
  namespace: object.metadata.namespace ?? '',
  name: object.metadata.name ?? '',
});

/** The uid and revision that a write believes in. */
export const expectsOf = (object: KubeObject): { uid: string; resourceVersion: string } => ({
  uid: object.metadata.uid ?? '',
  resourceVersion: object.metadata.resourceVersion ?? '',
});
