import facts from '../../facts/resources.json' with { type: 'json' };
import { kindSchema } from '../machinery/facts.ts';
import { groupVersion, type KubeObject, parseGroupVersion } from '../machinery/object.ts';
import { conversionOf } from './conversions.ts';
import type { ResourceInfo, SubresourceInfo } from './registry.ts';
import { fieldValueOf, indexedFieldsOf, selectableFieldsOf } from './selectable-fields.ts';
import { strategyFor } from './strategies/index.ts';

interface SubresourceFact {
  verbs: string[];
  kind: string;
  gv?: string;
}
interface ResourceFact {
  group: string;
  version: string;
  kind: string;
  plural: string;
  singular: string;
  namespaced: boolean;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: Record<string, SubresourceFact>;
}

/** What a server with default feature gates serves: stable versions only, less these. */
const stable = /^v\d+$/;
const GATED = new Set(['certificates.k8s.io/podcertificaterequests', 'scheduling.k8s.io/workloads']);

/** Other group versions that show the objects of one store domain, by the stored one. */
const STORED_AS: Record<string, { group: string; version: string }> = {
  'events.k8s.io/v1/events': { group: '', version: 'v1' },
  'autoscaling/v1/horizontalpodautoscalers': { group: 'autoscaling', version: 'v2' },
};

const subresourcesOf = (fact: ResourceFact): Map<string, SubresourceInfo> =>
  new Map(
    Object.entries(fact.subresources ?? {}).map(([name, s]) => {
      const own = s.gv ? parseGroupVersion(s.gv) : { group: fact.group, version: fact.version };
      return [name, { name, kind: s.kind, ...own, verbs: new Set(s.verbs) }];
    }),
  );

const build = (fact: ResourceFact): ResourceInfo | undefined => {
  const schema = kindSchema(fact.group, fact.version, fact.kind);
  if (!schema) return undefined;
  const stored = STORED_AS[`${groupVersion(fact.group, fact.version)}/${fact.plural}`];
  const convert = conversionOf(fact.group, fact.version, fact.kind);
  return {
    group: fact.group,
    version: fact.version,
    resource: fact.plural,
    kind: fact.kind,
    listKind: `${fact.kind}List`,
    singular: fact.singular,
    namespaced: fact.namespaced,
    verbs: new Set(fact.verbs),
    shortNames: fact.shortNames ?? [],
    categories: fact.categories ?? [],
    subresources: subresourcesOf(fact),
    schema,
    storage: { group: fact.group, version: fact.version, ...stored, resource: fact.plural, kind: fact.kind },
    ...(convert && { convert }),
    selectableFields: selectableFieldsOf(fact.group, fact.plural),
    indexedFields: indexedFieldsOf(fact.group, fact.plural),
    fieldValue: (object: KubeObject, field: string) => fieldValueOf(object, field),
    strategy: strategyFor(stored?.group ?? fact.group, fact.kind),
    custom: false,
  };
};

let built: readonly ResourceInfo[] | undefined;

/** Every built-in resource type that is served, in discovery order. */
export const builtinResources = (): readonly ResourceInfo[] => {
  const order = new Map((facts.groupVersions as string[]).map((gv, i) => [gv, i]));
  const rank = (r: ResourceFact): number => order.get(groupVersion(r.group, r.version)) ?? order.size;
  built ??= (facts.resources as ResourceFact[])
    .filter((r) => stable.test(r.version) && !GATED.has(`${r.group}/${r.plural}`))
    .sort((a, b) => rank(a) - rank(b))
    .flatMap((r) => build(r) ?? []);
  return built;
};
