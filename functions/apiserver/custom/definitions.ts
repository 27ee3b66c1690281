import { timestamp } from '../../clock/clock.ts';
import { fieldsOf } from '../../machinery/apply/fields.ts';
import { trackUpdate } from '../../machinery/apply/update.ts';
import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Domain, Stored } from '../../store/store.ts';
import type { AnyObject, Call, Server } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';
import { asJson, indexOf, parseStored, serializer } from '../stored-object.ts';
import { deleteObject } from '../verbs/delete.ts';
import { isTrue } from './conditions.ts';
import { isCleaningUp, nextStatus, TERMINATING, withoutCleanup, withTerminating } from './lifecycle.ts';

export const DEFINITIONS = { group: 'apiextensions.k8s.io', version: 'v1', resource: 'customresourcedefinitions' };

const parse = ({ bytes: { buffer, byteOffset, byteLength } }: Stored): KubeObject =>
  JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());

const parsed = new WeakMap<Stored, CustomResourceDefinition>();

/** A stored definition, parsed once: all of a cluster's are looked at whenever one changes. Not to be mutated. */
export const parseDefinition = (stored: Stored): CustomResourceDefinition => {
  const known = parsed.get(stored);
  if (known) return known;
  const made = parse(stored) as CustomResourceDefinition;
  parsed.set(stored, made);
  return made;
};

const NOT_OWNED = fieldsOf([['spec'], ['metadata']]);
/** A look at what is left, if nothing is heard of it, and how long until that is said in a condition; in milliseconds. */
const lookAgainMs = 5_000;
const patienceMs = 60_000;

/** The server's own deletes: no admission, as nobody asked for them one by one. */
const ownCall = (server: Server, cluster: string, resource: ResourceInfo): Call => ({
  server,
  info: {
    cluster,
    method: 'DELETE',
    path: '',
    query: new URLSearchParams(),
    isResource: true,
    verb: 'deletecollection',
    group: resource.group,
    version: resource.version,
    namespace: '',
    resource: resource.resource,
    subresource: '',
    name: '',
    rest: '',
  },
  request: new Request('https://server/'),
  requestId: '',
  user: { username: 'system:apiserver', uid: '', groups: ['system:masters'], extra: {} },
  resource,
  accept: { media: 'json', as: '', version: '', pretty: false },
  warnings: [],
  dryRun: false,
  fieldManager: 'kube-apiserver',
});

/** Writes statuses of definitions and empties those that are deleted, for one cluster. A lost race is left to the next look. */
export const createDefinitionKeeper = (server: Server, cluster: string) => {
  const domain: Domain = { cluster, group: DEFINITIONS.group, resource: DEFINITIONS.resource };
  const emptying = new Set<string>();
  let closed = false;

  const write = async (stored: Stored, next: CustomResourceDefinition): Promise<Stored | undefined> => {
    const { group, version, resource } = DEFINITIONS;
    const info = server.registry.find(cluster, group, version, resource);
    if (!info) return undefined;
    const object = { ...next, metadata: { ...next.metadata } } as unknown as AnyObject;
    const tracked = trackUpdate({
      before: asJson(parseStored(info, stored.bytes)),
      after: asJson(object),
      schema: info.schema,
      manager: 'kube-apiserver',
      apiVersion: `${group}/${version}`,
      now: timestamp(server.clock.now()),
      subresource: 'status',
      resetFields: NOT_OWNED,
    });
    if (tracked)
      object.metadata.managedFields = tracked as unknown as NonNullable<AnyObject['metadata']['managedFields']>;
    const bytes = serializer(info, object);
    const gone = next.metadata.deletionTimestamp && !next.metadata.finalizers?.length;
    const { key, revision: expected } = stored;
    const [outcome] = await server.store.commit(domain, [
      gone
        ? { op: 'delete', key, expected, bytes }
        : { op: 'update', key, expected, index: indexOf(info, object), bytes },
    ]);
    return outcome?.ok ? outcome.stored : undefined;
  };

  /** Deletes every object of a definition's kind; resolves once none is left, false where the definition went first. */
  const empty = async (key: string, uid: string, info: ResourceInfo): Promise<boolean> => {
    const replica = await server.replicas.of({ cluster, group: info.storage.group, resource: info.storage.resource });
    const call = ownCall(server, cluster, info);
    const began = server.clock.now();
    for (let told = false; !closed; ) {
      await replica.fresh();
      const left = replica.list({});
      if (left.length === 0) return true;
      for (const item of left)
        if (!parse(item).metadata.deletionTimestamp)
          await deleteObject(call, item.key, item, {}).catch(() => undefined);
      if (replica.size > 0) await changed(replica.onApplied);
      const definition = await server.store.get(domain, key);
      if (!definition || parseDefinition(definition).metadata.uid !== uid) return false;
      if (told || server.clock.now() - began < patienceMs) continue;
      told = true;
      await write(definition, withTerminating(parseDefinition(definition), TERMINATING.remaining, server.clock.now()));
    }
    return false;
  };

  const changed = (onApplied: (listener: () => void, expired?: () => void) => () => void): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        stop();
        cancel();
        resolve();
      };
      const stop = onApplied(done, done);
      const cancel = server.clock.after(lookAgainMs, done);
    });

  const cleanUp = async (first: Stored, info: ResourceInfo | undefined): Promise<void> => {
    const crd = parseDefinition(first);
    const { uid = '' } = crd.metadata;
    if (emptying.has(uid)) return;
    emptying.add(uid);
    try {
      const isServed = info && isTrue(crd, 'Established');
      const now = () => server.clock.now();
      if (isServed) {
        const begun = withTerminating(crd, TERMINATING.inProgress, now());
        if (!(await write(first, begun)) || !(await empty(first.key, uid, info))) return;
      }
      const last = isServed ? TERMINATING.completed : TERMINATING.neverEstablished;
      for (let attempt = 0; attempt < 5; attempt++) {
        const stored = await server.store.get(domain, first.key);
        const current = stored && parseDefinition(stored);
        if (!current || current.metadata.uid !== uid || !isCleaningUp(current)) return;
        if (await write(stored, withoutCleanup(withTerminating(current, last, now())))) return;
      }
    } finally {
      emptying.delete(uid);
    }
  };

  return {
    /**
     * One look at all definitions: writes the statuses that are due and starts the deletions that are. `infoOf` finds the
     * resource type of a definition's stored version.
     */
    look: async (all: readonly Stored[], infoOf: (uid: string) => ResourceInfo | undefined): Promise<void> => {
      const crds = all.map(parseDefinition);
      for (const [i, stored] of all.entries()) {
        const crd = crds[i];
        if (!crd || closed) continue;
        const status = nextStatus(crd, crds, server.clock.now());
        if (status) {
          const next = { ...crd, metadata: { ...crd.metadata }, status };
          // The names count for those that follow, whether the write or a newer one wins.
          crds[i] = next;
          await write(stored, next);
        } else if (isCleaningUp(crd)) {
          const failed = (error: unknown) => server.onFault?.(error, '', undefined);
          void cleanUp(stored, infoOf(crd.metadata.uid ?? '')).catch(failed);
        }
      }
    },
    close: () => {
      closed = true;
    },
  };
};
export type DefinitionKeeper = ReturnType<typeof createDefinitionKeeper>;
