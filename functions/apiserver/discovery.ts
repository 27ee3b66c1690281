import { createHash } from 'node:crypto';
import { groupVersion } from '../machinery/object.ts';
import type { ResourceInfo, SubresourceInfo } from './registry.ts';

/**
 * Discovery documents from the served resources, which come in the order groups and versions are preferred.
 * Sources: API concepts, "Discovery API"; KEP-3352 (aggregated discovery).
 */

interface Versions {
  group: string;
  /** In order of preference. */
  versions: string[];
}

const groupsOf = (resources: readonly ResourceInfo[]): Versions[] => {
  const groups = new Map<string, string[]>();
  for (const r of resources) {
    const versions = groups.get(r.group) ?? [];
    if (!versions.includes(r.version)) versions.push(r.version);
    groups.set(r.group, versions);
  }
  return [...groups].map(([group, versions]) => ({ group, versions }));
};

const named = (group: string, version: string) => ({ groupVersion: groupVersion(group, version), version });
const serverAddress = (address: string) => ({
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
});

/** GET /api */
export const apiVersions = (address: string) => ({ kind: 'APIVersions', versions: ['v1'], ...serverAddress(address) });

const groupBody = ({ group, versions }: Versions) => ({
  name: group,
  versions: versions.map((v) => named(group, v)),
  preferredVersion: named(group, versions[0] ?? ''),
});

/** GET /apis */
export const apiGroupList = (resources: readonly ResourceInfo[]) => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: groupsOf(resources)
    .filter((g) => g.group !== '')
    .map(groupBody),
});

/** GET /apis/{group}; undefined when no resource of the group is served. */
export const apiGroup = (resources: readonly ResourceInfo[], group: string) => {
  const found = groupsOf(resources).find((g) => g.group === group);
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...groupBody(found) };
};

/** Changes when the stored form does: clients compare it for equality only. */
const storageVersionHash = (r: ResourceInfo): string =>
  createHash('sha256')
    .update(`${r.storage.group}/${r.storage.version}/${r.storage.kind}`)
    .digest()
    .subarray(0, 8)
    .toString('base64');

const sortedVerbs = (verbs: ReadonlySet<string>): string[] => [...verbs].sort();
const verbsOf = (r: ResourceInfo): readonly string[] => r.definition?.verbs ?? sortedVerbs(r.verbs);
const gvOf = (sub: SubresourceInfo, r: ResourceInfo) =>
  sub.group === r.group && sub.version === r.version ? {} : { group: sub.group, version: sub.version };

/** GET /api/v1 and /apis/{group}/{version}; undefined when nothing is served there. */
export const apiResourceList = (resources: readonly ResourceInfo[], group: string, version: string) => {
  const served = resources.filter((r) => r.group === group && r.version === version);
  if (served.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    ...(group !== '' && { apiVersion: 'v1' }),
    groupVersion: groupVersion(group, version),
    resources: served.flatMap((r) => [
      {
        name: r.resource,
        singularName: r.singular,
        namespaced: r.namespaced,
        kind: r.kind,
        verbs: verbsOf(r),
        ...(r.shortNames.length > 0 && { shortNames: r.shortNames }),
        ...(r.categories.length > 0 && { categories: r.categories }),
        ...(r.verbs.has('list') && r.verbs.has('create') && { storageVersionHash: storageVersionHash(r) }),
      },
      ...[...r.subresources.values()].map((sub) => ({
        name: `${r.resource}/${sub.name}`,
        singularName: '',
        namespaced: r.namespaced,
        ...gvOf(sub, r),
        kind: sub.kind,
        verbs: sortedVerbs(sub.verbs),
      })),
    ]),
  };
};

const aggregatedResource = (r: ResourceInfo) => ({
  resource: r.resource,
  responseKind: { group: r.custom ? r.group : '', version: r.custom ? r.version : '', kind: r.kind },
  scope: r.namespaced ? 'Namespaced' : 'Cluster',
  singularResource: r.singular,
  verbs: verbsOf(r),
  ...(r.shortNames.length > 0 && { shortNames: r.shortNames }),
  ...(r.categories.length > 0 && { categories: r.categories }),
  ...(r.subresources.size > 0 && {
    subresources: [...r.subresources.values()].map((sub) => ({
      subresource: sub.name,
      responseKind: {
        group: gvOf(sub, r).group ?? (r.custom ? sub.group : ''),
        version: gvOf(sub, r).version ?? (r.custom ? sub.version : ''),
        kind: sub.kind,
      },
      verbs: sortedVerbs(sub.verbs),
    })),
  }),
});

/** GET /api or /apis as apidiscovery.k8s.io/v2 APIGroupDiscoveryList: one answer for all groups of the root. */
export const aggregatedDiscovery = (resources: readonly ResourceInfo[], root: 'api' | 'apis', version: string) => ({
  kind: 'APIGroupDiscoveryList',
  apiVersion: `apidiscovery.k8s.io/${version}`,
  metadata: {},
  items: groupsOf(resources)
    .filter((g) => (g.group === '') === (root === 'api'))
    .map((g) => ({
      metadata: g.group === '' ? {} : { name: g.group },
      versions: g.versions.map((v) => ({
        version: v,
        resources: resources.filter((r) => r.group === g.group && r.version === v).map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
});

/** A quoted strong ETag of a document, as upstream's aggregated discovery gives (sha512 of the bytes). */
export const etagOf = (body: string): string => `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"`;
