import type { ResourceInfo } from './registry.ts';

/** Which resources each cluster serves: the built-in ones, and its own custom ones. */
export interface Registry {
  find(cluster: string, group: string, version: string, resource: string): ResourceInfo | undefined;
  /** In discovery order. */
  all(cluster: string): readonly ResourceInfo[];
  hasVersion(cluster: string, group: string, version: string): boolean;
  /** Replaces the custom resources of a cluster. */
  setCustom(cluster: string, resources: readonly ResourceInfo[]): void;
  /** The cluster is gone, and its custom resources with it. */
  forget(cluster: string): void;
}

const nameOf = (group: string, version: string, resource: string): string => `${group}/${version}/${resource}`;

/** `own` are the resources that one cluster serves besides those that all do, whatever is stored in it. */
export const createRegistry = (
  builtin: readonly ResourceInfo[],
  own: ReadonlyMap<string, readonly ResourceInfo[]> = new Map(),
): Registry => {
  const common = new Map(builtin.map((r) => [nameOf(r.group, r.version, r.resource), r]));
  const custom = new Map<
    string,
    { list: readonly ResourceInfo[]; byName: Map<string, ResourceInfo>; all: ResourceInfo[] }
  >();
  const setCustom = (cluster: string, list: readonly ResourceInfo[]): void => {
    const more = [...(own.get(cluster) ?? []), ...list];
    const byName = new Map(
      [...list, ...(own.get(cluster) ?? [])].map((r) => [nameOf(r.group, r.version, r.resource), r]),
    );
    custom.set(cluster, { list: more, byName, all: [...builtin, ...more] });
  };
  for (const cluster of own.keys()) setCustom(cluster, []);
  const all = (cluster: string): readonly ResourceInfo[] => custom.get(cluster)?.all ?? builtin;
  return {
    find: (cluster, group, version, resource) => {
      const name = nameOf(group, version, resource);
      return common.get(name) ?? custom.get(cluster)?.byName.get(name);
    },
    all,
    hasVersion: (cluster, group, version) => all(cluster).some((r) => r.group === group && r.version === version),
    setCustom,
    forget: (cluster) => {
      if (!own.has(cluster)) custom.delete(cluster);
    },
  };
};
