import facts from '../../facts/resources.json' with { type: 'json' };

/** A kind of Kubernetes' own. */
export interface BuiltInKind {
  group: string;
  version: string;
  kind: string;
}

const kinds = new Map<string, BuiltInKind>();
for (const { group, version, plural, kind } of facts.resources) {
  kinds.set(`${group}/${version}/${plural}`, { group, version, kind });
}

/** The kind that a built-in resource holds; undefined where Kubernetes has no such resource. */
export const kindOfResource = (group: string, version: string, resource: string): BuiltInKind | undefined =>
  kinds.get(`${group}/${version}/${resource}`);
