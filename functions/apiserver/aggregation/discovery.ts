import { groupVersion } from '../../machinery/object.ts';
import type { Found } from './aggregator.ts';
import type { ListedResource } from './availability.ts';
import type { Remote } from './remotes.ts';

/** Discovery documents with what other API servers serve added in its place. Source: KEP-3352. */

interface GroupVersion {
  groupVersion: string;
  version: string;
}
interface Group {
  name: string;
  versions: GroupVersion[];
  preferredVersion: GroupVersion;
}

const named = ({ group, version }: Remote): GroupVersion => ({ groupVersion: groupVersion(group, version), version });

/** The remotes by group, in the order they came. */
const byGroup = <T>(all: readonly T[], groupOf: (one: T) => string): Map<string, T[]> => {
  const out = new Map<string, T[]>();
  for (const one of all) out.set(groupOf(one), [...(out.get(groupOf(one)) ?? []), one]);
  return out;
};

/** Adds each new group before the first that it goes before by its priority. */
const merge = <T>(
  local: readonly T[],
  remote: ReadonlyMap<string, { priority: number; make(known: T | undefined): T }>,
  nameOf: (one: T) => string,
  priorityOf: (group: string) => number,
): T[] => {
  const out = local.map((one) => remote.get(nameOf(one))?.make(one) ?? one);
  for (const [group, { priority, make }] of remote) {
    if (local.some((one) => nameOf(one) === group)) continue;
    const goesBefore = (one: T): boolean => {
      const other = remote.get(nameOf(one))?.priority ?? priorityOf(nameOf(one));
      return other < priority || (other === priority && nameOf(one) > group);
    };
    const at = out.findIndex(goesBefore);
    out.splice(at < 0 ? out.length : at, 0, make(undefined));
  }
  return out;
};

const groupOf = (remotes: readonly Remote[], known: Group | undefined): Group => {
  const versions = [...(known?.versions ?? []), ...remotes.map(named)];
  const [first = { groupVersion: '', version: '' }] = versions;
  return { name: remotes[0]?.group ?? '', versions, preferredVersion: known?.preferredVersion ?? first };
};

/** GET /apis: the groups with those of other servers. */
export const withRemoteGroups = <T extends { groups: Group[] }>(
  list: T,
  remotes: readonly Remote[],
  priorityOf: (group: string) => number,
): T => {
  if (remotes.length === 0) return list;
  const groups = byGroup(remotes, (one) => one.group);
  const added = new Map(
    [...groups].map(([group, all]) => [
      group,
      { priority: Math.max(...all.map((one) => one.groupPriority)), make: (known?: Group) => groupOf(all, known) },
    ]),
  );
  return { ...list, groups: merge(list.groups, added, (one) => one.name, priorityOf) };
};

/** GET /apis/{group}, where another server serves a version of it. */
export const withRemoteGroup = (
  known: (Group & object) | undefined,
  group: string,
  remotes: readonly Remote[],
): object | undefined => {
  const own = remotes.filter((one) => one.group === group);
  if (own.length === 0) return known;
  return { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(own, known) };
};

const verbsOf = ({ verbs }: ListedResource): string[] => verbs ?? [];

/** As listed: what it leaves out is the group and version that it is listed in. */
const responseKind = ({ group = '', version = '', kind }: ListedResource) => ({ group, version, kind });

/** APIResources as apidiscovery.k8s.io/v2 has them. */
const resourcesOf = ({ finding }: Found): object[] => {
  const all = finding.resources ?? [];
  return all
    .filter(({ name }) => !name.includes('/'))
    .map((one) => {
      const below = all.filter(({ name }) => name.startsWith(`${one.name}/`));
      return {
        resource: one.name,
        responseKind: responseKind(one),
        scope: one.namespaced ? 'Namespaced' : 'Cluster',
        singularResource: one.singularName ?? '',
        verbs: verbsOf(one),
        ...(one.shortNames?.length && { shortNames: one.shortNames }),
        ...(one.categories?.length && { categories: one.categories }),
        ...(below.length > 0 && {
          subresources: below.map((sub) => ({
            subresource: sub.name.slice(one.name.length + 1),
            responseKind: responseKind(sub),
            verbs: verbsOf(sub),
          })),
        }),
      };
    });
};

interface DiscoveredGroup {
  metadata: { name?: string };
  versions: object[];
}

/** GET /apis as an APIGroupDiscoveryList. What a server that is not available would serve is not known: it is stale. */
export const withRemoteDiscovery = <T extends { items: DiscoveredGroup[] }>(
  list: T,
  found: readonly Found[],
  priorityOf: (group: string) => number,
): T => {
  if (found.length === 0) return list;
  const groups = byGroup(found, ({ remote }) => remote.group);
  const added = new Map(
    [...groups].map(([group, all]) => {
      const versions = all.map((one) => ({
        version: one.remote.version,
        resources: resourcesOf(one),
        freshness: one.finding.available ? 'Current' : 'Stale',
      }));
      const make = (known?: DiscoveredGroup): DiscoveredGroup => ({
        metadata: { name: group },
        versions: [...(known?.versions ?? []), ...versions],
      });
      return [group, { priority: Math.max(...all.map(({ remote }) => remote.groupPriority)), make }];
    }),
  );
  return { ...list, items: merge(list.items, added, (one) => one.metadata.name ?? '', priorityOf) };
};
