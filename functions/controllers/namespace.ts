import type { Reader } from '../client/reader.ts';
import { timestamp } from '../clock/clock.ts';
import type { Namespace, NamespaceCondition } from '../machinery/kinds.d.ts';
import type { KubeObject, ObjectKey } from '../machinery/object.ts';
import { withCondition } from './conditions.ts';
import type { Controller, Instant, Plan, PlannedWrite } from './controller.ts';
import { ownKey, targetOf } from './owners.ts';
import type { ResourceType, ResourceTypes } from './resource-types.ts';
import { namespaces } from './resources.ts';
import { statusWrite } from './status-patch.ts';

export interface NamespaceObserved {
  namespace: Namespace;
  content: { type: ResourceType; object: KubeObject }[];
}

const lookAgainMs = 2_000;

/** How many objects of a namespace are deleted in one run, at most. */
const burst = 500;

const contentOf = async (read: Reader, types: readonly ResourceType[], namespace: string) => {
  const content: NamespaceObserved['content'] = [];
  for (const type of types) {
    if (!type.namespaced) continue;
    for (const object of await read.list<KubeObject>(type, { namespace })) content.push({ type, object });
  }
  return content;
};

/** What a delete does not remove at once: conditions tell what is left after the deletes of a run, as upstream's do. */
const remains = ({ object }: NamespaceObserved['content'][number]): boolean =>
  object.metadata.deletionTimestamp !== undefined || (object.metadata.finalizers?.length ?? 0) > 0;

const decide = ({ namespace, content }: NamespaceObserved, now: Instant): Plan => {
  if (content.length === 0) {
    const finalizers = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== 'kubernetes');
    const object: Namespace = { ...namespace, spec: { ...namespace.spec, finalizers } };
    return { writes: [{ op: 'update', resource: namespaces, object, subresource: 'finalize' }] };
  }
  // Pods go first: what they use must not vanish under them (KEP-5080).
  const running = content.filter(({ type }) => type.group === '' && type.resource === 'pods');
  const due = (running.length > 0 ? running : content).filter(({ object }) => !object.metadata.deletionTimestamp);
  const writes: PlannedWrite[] = due.slice(0, burst).map(({ type, object }) => ({
    op: 'delete',
    resource: type,
    target: targetOf(object),
    expects: { uid: object.metadata.uid ?? '' },
    propagation: 'Background',
  }));
  // While pods go, nothing is said of what goes after them.
  const left = running.length > 0 ? [] : content.filter(remains);
  const status = { ...namespace.status, phase: 'Terminating', conditions: conditionsOf(namespace, left, now) };
  return {
    writes: [...statusWrite(namespace, namespaces, status), ...writes],
    again: { afterMs: lookAgainMs },
  };
};

const condition = (now: Instant, type: string, on: boolean, reasons: [string, string], messages: [string, string]) => ({
  type,
  status: on ? 'True' : 'False',
  reason: on ? reasons[0] : reasons[1],
  message: on ? messages[0] : messages[1],
  lastTransitionTime: timestamp(now),
});

const counted = (names: string[], say: (name: string, count: number) => string): string => {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts.keys()]
    .sort()
    .map((name) => say(name, counts.get(name) ?? 0))
    .join(', ');
};

const conditionsOf = (
  namespace: Namespace,
  content: NamespaceObserved['content'],
  now: Instant,
): NamespaceCondition[] => {
  const kinds = counted(
    content.map(({ type }) => (type.group ? `${type.resource}.${type.group}` : `${type.resource}.`)),
    (name, count) => `${name} has ${count} resource instances`,
  );
  const finalizers = content.flatMap(({ object }) => object.metadata.finalizers ?? []);
  const held = counted(finalizers, (name, count) => `${name} in ${count} resource instances`);
  const next = [
    condition(
      now,
      'NamespaceDeletionDiscoveryFailure',
      false,
      ['', 'ResourcesDiscovered'],
      ['', 'All resources successfully discovered'],
    ),
    condition(
      now,
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      ['', 'ParsedGroupVersions'],
      ['', 'All legacy kube types successfully parsed'],
    ),
    condition(
      now,
      'NamespaceDeletionContentFailure',
      false,
      ['', 'ContentDeleted'],
      ['', 'All content successfully deleted, may be waiting on finalization'],
    ),
    condition(
      now,
      'NamespaceContentRemaining',
      content.length > 0,
      ['SomeResourcesRemain', 'ContentRemoved'],
      [`Some resources are remaining: ${kinds}`, 'All content successfully removed'],
    ),
    condition(
      now,
      'NamespaceFinalizersRemaining',
      finalizers.length > 0,
      ['SomeFinalizersRemain', 'ContentHasNoFinalizers'],
      [`Some content in the namespace has finalizers remaining: ${held}`, 'All content-preserving finalizers finished'],
    ),
  ];
  let conditions = namespace.status?.conditions;
  for (const one of next) conditions = withCondition<NamespaceCondition>(conditions, one);
  return conditions ?? [];
};

/** Empties a namespace that is being deleted, then takes its `kubernetes` finalizer away. */
export const createNamespaceController = (types: ResourceTypes): Controller<NamespaceObserved> => ({
  name: 'namespace',
  watches: [
    { resource: namespaces, keys: (change) => (change.object.metadata.deletionTimestamp ? ownKey(change) : []) },
    {
      resource: { group: '*', resource: '*' },
      async keys(change, read) {
        const name = change.object.metadata.namespace;
        if (!change.deleted || !name) return [];
        const namespace = await read.get<Namespace>(namespaces, '', name);
        return namespace?.metadata.deletionTimestamp ? [name] : [];
      },
    },
  ],
  async observe(read: Reader, key: ObjectKey) {
    const namespace = await read.get<Namespace>(namespaces, '', key.name);
    if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes('kubernetes')) return undefined;
    const all = await types(read.cluster);
    let content = await contentOf(read, all, key.name);
    if (content.length === 0) {
      // Nothing in sight is not yet nothing: only a view as of now may let the namespace go.
      for (const type of all) if (type.namespaced) await read.fresh(type);
      content = await contentOf(read, all, key.name);
    }
    return { namespace, content };
  },
  decide,
});
