import { timestamp } from '../clock/clock.ts';
import type { CustomResourceDefinition } from '../machinery/kinds.d.ts';
import type { Json, KubeObject } from '../machinery/object.ts';
import type { Cause } from '../machinery/status.ts';
import type { Replica } from '../store/replica-port.ts';
import type { Stored } from '../store/store.ts';
import type { Server } from './context.ts';
import { publishSchema } from './custom-openapi.ts';
import { checkValue, customSchema, type Structural } from './custom-schema.ts';
import type { ResourceInfo, SubresourceInfo } from './registry.ts';

const DOMAIN = { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' };
const VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];

const valueAt = (object: KubeObject, path: string): string => {
  let value: unknown = object;
  for (const part of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  return value === undefined || value === null ? '' : String(value);
};

/** The resource types that a definition serves, its storage version's objects under all of them (conversion None). */
export const resourcesOf = (crd: CustomResourceDefinition): ResourceInfo[] => {
  const { group, names, versions, scope } = crd.spec;
  const stored = versions.find((v) => v.storage)?.name ?? '';
  return versions
    .filter((v) => v.served)
    .map(({ name: version, schema, subresources, selectableFields }) => {
      const root = (schema?.openAPIV3Schema ?? {}) as unknown as Structural;
      const status: SubresourceInfo = {
        name: 'status',
        kind: names.kind,
        group,
        version,
        verbs: new Set(['get', 'patch', 'update']),
      };
      const retype = (to: string) => (object: KubeObject) => ({ ...object, apiVersion: `${group}/${to}` });
      const info: ResourceInfo = {
        group,
        version,
        resource: names.plural,
        kind: names.kind,
        listKind: names.listKind ?? `${names.kind}List`,
        singular: names.singular ?? names.kind.toLowerCase(),
        namespaced: scope === 'Namespaced',
        verbs: new Set(VERBS),
        shortNames: names.shortNames ?? [],
        categories: names.categories ?? [],
        subresources: new Map(subresources?.status ? [['status', status]] : []),
        schema: customSchema(root),
        storage: { group, version: stored, resource: names.plural, kind: names.kind },
        ...(version !== stored && { convert: { toStorage: retype(stored), fromStorage: retype(version) } }),
        selectableFields: (selectableFields ?? []).map((f) => f.jsonPath.replace(/^\./, '')),
        fieldValue: valueAt,
        strategy: strategyOf(root),
        custom: true,
      };
      publishSchema(info, root as unknown as Record<string, unknown>);
      return info;
    });
};

const strategyOf = (root: Structural): ResourceInfo['strategy'] => {
  const validate = (object: KubeObject): Cause[] => {
    const out: Cause[] = [];
    checkValue(out, root, object as unknown as Json, '');
    return out.length > 0 ? out.map((c) => ({ ...c, field: c.field || '<nil>' })) : out;
  };
  return { validate, validateStatusUpdate: validate, unconditionalUpdate: false, createOnUpdate: true };
};

const parse = (stored: Stored): CustomResourceDefinition => JSON.parse(Buffer.from(stored.bytes).toString());

const isEstablished = (crd: CustomResourceDefinition): boolean =>
  crd.status?.conditions?.some((c) => c.type === 'Established' && c.status === 'True') ?? false;

/** Writes the accepted names and conditions of a new definition. A lost race means that another process did, or will. */
const establish = async (server: Server, cluster: string, stored: Stored): Promise<void> => {
  const crd = parse(stored);
  const lastTransitionTime = timestamp(server.clock.now());
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime,
    reason,
    message,
  });
  const { names } = crd.spec;
  const lower = names.singular ?? names.kind.toLowerCase();
  const status = {
    ...crd.status,
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: { ...names, singular: lower, listKind: names.listKind ?? `${names.kind}List` },
  };
  const write = (revision: bigint): Uint8Array =>
    Buffer.from(JSON.stringify({ ...crd, metadata: { ...crd.metadata, resourceVersion: String(revision) }, status }));
  await server.store.commit({ cluster, ...DOMAIN }, [
    { op: 'update', key: stored.key, expected: stored.revision, index: stored.index, bytes: write },
  ]);
};

/** Keeps a registry's custom resources as the stored definitions say, for each cluster that is asked about. */
export const createCustomResources = (server: Server) => {
  const followed = new Map<string, Replica>();
  const rebuild = (cluster: string, replica: Replica): void => {
    const all: ResourceInfo[] = [];
    for (const stored of replica.list({})) {
      const crd = parse(stored);
      all.push(...resourcesOf(crd));
      if (!isEstablished(crd)) establish(server, cluster, stored).catch((e) => server.onFault?.(e, '', undefined));
    }
    server.registry.setCustom(cluster, all);
  };
  return {
    /** Brings a cluster's custom resources up to the store's head; for a path that nothing built-in serves. */
    refresh: async (cluster: string): Promise<void> => {
      const replica = await server.replicas.of({ cluster, ...DOMAIN });
      await replica.fresh();
      if (followed.get(cluster) === replica) return;
      followed.set(cluster, replica);
      replica.onApplied(
        (changes) => {
          if (changes.length > 0) rebuild(cluster, replica);
        },
        () => void followed.delete(cluster),
      );
      if (replica.size > 0) rebuild(cluster, replica);
    },
    follows: (cluster: string): boolean => followed.has(cluster),
  };
};
