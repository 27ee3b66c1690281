import type { Reader } from '../client/reader.ts';
import type { OwnerReference } from '../machinery/kinds.d.ts';
import type { GroupResource, KubeObject } from '../machinery/object.ts';
import type { Controller, Plan, PlannedWrite, WatchedChange } from './controller.ts';
import { expectsOf, ownersPatch, targetOf } from './owners.ts';
import type { ResourceType, ResourceTypes } from './resource-types.ts';
import { sameJson } from './status-patch.ts';

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

/**
 * Of an owner reference: there, being deleted and waiting for its dependents, gone, of a kind that is not served (now), or
 * of a namespaced kind where the dependent has no namespace, which is never looked for.
 */
type OwnerState = 'solid' | 'waiting' | 'gone' | 'unknown' | 'misplaced';

interface Item {
  type: ResourceType;
  object: KubeObject;
}
interface Dependent extends Item {
  owners: { reference: OwnerReference; state: OwnerState }[];
  /** It has dependents of its own. */
  hasDependents: boolean;
  /** One of those waits for its own dependents: they may go round in a circle. */
  inCircle: boolean;
}
export interface GarbageObserved {
  dependents: Dependent[];
  /** Being deleted, and waits for what happens to its dependents. */
  owner?: Item & { dependents: Item[] };
}

const hasFinalizer = (object: KubeObject, name: string): boolean => object.metadata.finalizers?.includes(name) ?? false;
const isDeletingDependents = (object: KubeObject): boolean =>
  object.metadata.deletionTimestamp !== undefined && hasFinalizer(object, foreground);

const objectKey = (resource: GroupResource, namespace: string | undefined, name: string | undefined): string =>
  `x:${resource.group}|${resource.resource}|${namespace ?? ''}|${name ?? ''}`;
const groupOf = (apiVersion: string): string =>
  apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';

const typeOf = (all: readonly ResourceType[], reference: OwnerReference): ResourceType | undefined =>
  all.find((type) => type.kind === reference.kind && type.group === groupOf(reference.apiVersion));

/** One look at the owner graph through a reader; a view is made fresh before absence is believed. */
const createGraph = (read: Reader, all: readonly ResourceType[]) => {
  const freshened = new Set<ResourceType>();
  const dependentsOf = async (uid: string): Promise<Item[]> => {
    const found: Item[] = [];
    for (const type of all) for (const object of await read.ownedBy(type, uid)) found.push({ type, object });
    return found;
  };
  const stateOf = async (reference: OwnerReference, namespace: string): Promise<OwnerState> => {
    const type = typeOf(all, reference);
    if (!type) return 'unknown';
    if (type.namespaced && !namespace) return 'misplaced';
    const look = () => read.get(type, type.namespaced ? namespace : '', reference.name);
    let owner = await look();
    if (owner?.metadata.uid !== reference.uid && !freshened.has(type)) {
      await read.fresh(type);
      freshened.add(type);
      owner = await look();
    }
    if (owner?.metadata.uid !== reference.uid) return 'gone';
    return isDeletingDependents(owner) ? 'waiting' : 'solid';
  };
  const dependent = async ({ type, object }: Item): Promise<Dependent> => {
    const owners: Dependent['owners'] = [];
    for (const reference of object.metadata.ownerReferences ?? []) {
      owners.push({ reference, state: await stateOf(reference, object.metadata.namespace ?? '') });
    }
    const waiting = owners.some(({ state }) => state === 'waiting');
    const below = waiting ? await dependentsOf(object.metadata.uid ?? '') : [];
    const inCircle = below.some((one) => isDeletingDependents(one.object));
    return { type, object, owners, hasDependents: below.length > 0, inCircle };
  };
  return { dependentsOf, dependent };
};

const observeObject = async (
  graph: ReturnType<typeof createGraph>,
  item: Item,
): Promise<GarbageObserved | undefined> => {
  const { object } = item;
  if (!object.metadata.deletionTimestamp) {
    return object.metadata.ownerReferences?.length ? { dependents: [await graph.dependent(item)] } : undefined;
  }
  if (!hasFinalizer(object, foreground) && !hasFinalizer(object, orphan)) return undefined;
  const dependents = await graph.dependentsOf(object.metadata.uid ?? '');
  const resolved: Dependent[] = [];
  if (hasFinalizer(object, foreground)) for (const one of dependents) resolved.push(await graph.dependent(one));
  return { dependents: resolved, owner: { ...item, dependents } };
};

const decideDependent = ({ type, object, owners, hasDependents, inCircle }: Dependent): PlannedWrite[] => {
  if (object.metadata.deletionTimestamp || owners.length === 0) return [];
  const stays = owners.filter(({ state }) => state !== 'gone' && state !== 'waiting');
  if (stays.length === owners.length) return [];
  if (stays.length > 0) {
    return [
      ownersPatch(
        object,
        type,
        stays.map(({ reference }) => reference),
      ),
    ];
  }
  const waits = owners.some(({ state }) => state === 'waiting') && hasDependents;
  if (waits && inCircle && owners.some(({ reference }) => reference.blockOwnerDeletion)) {
    // Somebody in the circle must not wait for the others.
    const released = owners.map(({ reference }) => ({ ...reference, blockOwnerDeletion: false }));
    return [ownersPatch(object, type, released)];
  }
  const propagation = waits || hasFinalizer(object, foreground) ? 'Foreground' : 'Background';
  return [
    {
      op: 'delete',
      resource: type,
      target: targetOf(object),
      expects: expectsOf(object),
      propagation: hasFinalizer(object, orphan) && !waits ? 'Orphan' : propagation,
    },
  ];
};

const withoutFinalizer = ({ type, object }: Item, name: string): PlannedWrite => ({
  op: 'patch',
  resource: type,
  target: targetOf(object),
  merge: { metadata: { finalizers: (object.metadata.finalizers ?? []).filter((finalizer) => finalizer !== name) } },
  expects: expectsOf(object),
});

/** A dependent may block its owner for ever when it waits for others; polling finds references that changed. */
const lookAgainMs = 5_000;

/** A kind may come to be served, and its object may not be there then. */
const unknownAgainMs = 60_000;
const hasUnknownOwner = (dependents: readonly Dependent[]): boolean =>
  dependents.some(
    ({ object, owners }) => !object.metadata.deletionTimestamp && owners.some((o) => o.state === 'unknown'),
  );

const decide = ({ dependents, owner }: GarbageObserved): Plan => {
  const writes = dependents.flatMap(decideDependent);
  if (!owner) return hasUnknownOwner(dependents) ? { writes, again: { afterMs: unknownAgainMs } } : { writes };
  const uid = owner.object.metadata.uid;
  if (hasFinalizer(owner.object, orphan)) {
    const releases = owner.dependents.map(({ type, object }) =>
      ownersPatch(
        object,
        type,
        (object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid),
      ),
    );
    // The finalizer goes in a run of its own, when every reference is seen to be gone.
    if (releases.length > 0) return { writes: releases, again: { afterMs: 0 } };
    return { writes: [withoutFinalizer(owner, orphan)] };
  }
  const blocking = owner.dependents.some(({ object }) =>
    object.metadata.ownerReferences?.some((reference) => reference.uid === uid && reference.blockOwnerDeletion),
  );
  if (!blocking) return { writes: [...writes, withoutFinalizer(owner, foreground)] };
  return { writes, again: { afterMs: lookAgainMs } };
};

/** The owners that an object keeps from going. */
const blockedBy = async (
  { metadata }: KubeObject,
  types: () => Promise<readonly ResourceType[]>,
): Promise<string[]> => {
  const keys: string[] = [];
  for (const reference of metadata.ownerReferences ?? []) {
    if (!reference.blockOwnerDeletion) continue;
    const type = typeOf(await types(), reference);
    if (type) keys.push(objectKey(type, type.namespaced ? metadata.namespace : '', reference.name));
  }
  return keys;
};

/** Whether the owners are those that it had before. Without the object as it was, its index tells who they were. */
const sameOwners = ({ object, previous, previousOwners }: WatchedChange): boolean => {
  const { ownerReferences } = object.metadata;
  if (previous) return sameJson(previous.metadata.ownerReferences, ownerReferences);
  return (
    previousOwners !== undefined &&
    sameJson(
      previousOwners,
      (ownerReferences ?? []).map(({ uid }) => uid),
    )
  );
};

const keysOf = async (change: WatchedChange, types: () => Promise<readonly ResourceType[]>): Promise<string[]> => {
  const { metadata } = change.object;
  if (!change.deleted) {
    const deleting = metadata.deletionTimestamp && (metadata.finalizers?.length ?? 0) > 0;
    const owned = metadata.ownerReferences?.length ?? 0;
    const known = sameOwners(change);
    const own = objectKey(change.resource, metadata.namespace, metadata.name);
    const keys = deleting || (owned > 0 && !known) ? [own] : [];
    return change.previous && !known ? [...keys, ...(await blockedBy(change.previous, types))] : keys;
  }
  return [`o:${metadata.uid}`, ...(await blockedBy(change.object, types))];
};

/**
 * Deletes what no owner holds any longer, and carries out foreground and orphan deletion. Keys: `o:UID` (an owner that
 * is gone) and `x:GROUP|RESOURCE|NAMESPACE|NAME` (an object with owners, or one whose deletion waits).
 */
export const createGarbageCollector = (types: ResourceTypes): Controller<GarbageObserved> => ({
  name: 'garbagecollector',
  component: 'garbage-collector-controller',
  watches: [
    {
      resource: { group: '*', resource: '*' },
      keys(change, read) {
        const { group, resource } = change.resource;
        if (resource === 'events' && (group === '' || group === 'events.k8s.io')) return [];
        return keysOf(change, () => types(read.cluster));
      },
    },
  ],
  async observe(read, { name: key }) {
    const all = await types(read.cluster);
    const graph = createGraph(read, all);
    if (key.startsWith('o:')) {
      const dependents: Dependent[] = [];
      for (const item of await graph.dependentsOf(key.slice(2))) dependents.push(await graph.dependent(item));
      return dependents.length > 0 ? { dependents } : undefined;
    }
    const [group, resource, namespace = '', ...name] = key.slice(2).split('|');
    const type = all.find((one) => one.group === group && one.resource === resource);
    const object = type && (await read.get(type, namespace, name.join('|')));
    return object && type ? observeObject(graph, { type, object }) : undefined;
  },
  decide,
});
