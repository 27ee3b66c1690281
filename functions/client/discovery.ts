import type { GroupVersionResource } from '../machinery/object.ts';
import type { Client } from './client.ts';
import { failureOf } from './fetch-client.ts';

/** A resource type as discovery tells it, in the first version (the preferred one first) that has it. */
export interface DiscoveredType extends GroupVersionResource {
  kind: string;
  namespaced: boolean;
  verbs: string[];
}

interface ApiResourceList {
  groupVersion: string;
  resources: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}
interface ApiGroupList {
  groups: { name: string; versions: { groupVersion: string }[]; preferredVersion?: { groupVersion: string } }[];
}

/** Every resource type of a cluster, without subresources; a group version that fails is left out. */
export const discover = async (client: Client): Promise<DiscoveredType[]> => {
  const get = async <T>(path: string): Promise<T> => {
    const response = await client.raw('GET', path);
    if (!response.ok) throw await failureOf(response);
    return (await response.json()) as T;
  };
  const { groups } = await get<ApiGroupList>('/apis');
  const paths = [{ path: '/api/v1', group: '', version: 'v1' }];
  for (const group of groups) {
    const preferred = group.preferredVersion?.groupVersion;
    const versions = group.versions.map((v) => v.groupVersion);
    for (const gv of preferred ? [preferred, ...versions.filter((v) => v !== preferred)] : versions) {
      paths.push({ path: `/apis/${gv}`, group: group.name, version: gv.slice(gv.indexOf('/') + 1) });
    }
  }
  const lists = await Promise.all(paths.map((p) => get<ApiResourceList>(p.path).catch(() => undefined)));
  const found = new Map<string, DiscoveredType>();
  for (const [i, { group, version }] of paths.entries()) {
    for (const { name, kind, namespaced, verbs } of lists[i]?.resources ?? []) {
      const id = `${group}/${name}`;
      if (name.includes('/') || found.has(id)) continue;
      found.set(id, { group, version, resource: name, kind, namespaced, verbs });
    }
  }
  return [...found.values()];
};

/** Those of them that can be listed and deleted. */
export const deletable = (types: readonly DiscoveredType[]): DiscoveredType[] =>
  types.filter((type) => type.verbs.includes('list') && type.verbs.includes('delete'));
