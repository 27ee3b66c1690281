import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import type { Json, KubeObject } from '../../machinery/object.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import { publishSchema } from '../custom-openapi.ts';
import { customKindOf, customSchema, type Structural } from '../custom-schema.ts';
import type { ResourceInfo, ScalePaths, SubresourceInfo } from '../registry.ts';
import { columnsTable } from './columns.ts';
import { isTrue } from './conditions.ts';
import { convertBetween, type Versions } from './convert.ts';
import { type JsonPath, JsonPathError, parseJsonPath } from './json-path.ts';
import { customStrategy } from './strategy.ts';
import { deprecationWarning, storageVersion } from './versions.ts';
import { convertByWebhook, type Webhook } from './webhook-conversion.ts';

type Version = CustomResourceDefinition['spec']['versions'][number];
type Scale = NonNullable<NonNullable<Version['subresources']>['scale']>;

/** In the order in which upstream's discovery lists them. */
const VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const VERBS_TERMINATING = ['delete', 'deletecollection', 'get', 'list', 'watch'];
const SUBRESOURCE_VERBS = new Set(['get', 'patch', 'update']);

const fieldsOf = (path: string): string[] => path.replace(/^\./, '').split('.');
const scalePaths = (scale: Scale): ScalePaths => ({
  spec: fieldsOf(scale.specReplicasPath),
  status: fieldsOf(scale.statusReplicasPath),
  ...(scale.labelSelectorPath && { selector: fieldsOf(scale.labelSelectorPath) }),
});

/** Selectable fields by the name under which selectors know them: their path without the leading dot. */
const selectableOf = (version: Version): Map<string, JsonPath> => {
  const out = new Map<string, JsonPath>();
  for (const { jsonPath } of version.selectableFields ?? [])
    out.set(jsonPath.replace(/^\./, ''), parseJsonPath(jsonPath));
  return out;
};

const textAt = (path: JsonPath | undefined, object: KubeObject): string => {
  try {
    const [value] = path?.(object as unknown as Json) ?? [];
    return value === undefined || value === null ? '' : String(value);
  } catch (error) {
    if (error instanceof JsonPathError) return '';
    throw error;
  }
};

const subresourcesOf = (crd: CustomResourceDefinition, version: Version): Map<string, SubresourceInfo> => {
  const out = new Map<string, SubresourceInfo>();
  const verbs = SUBRESOURCE_VERBS;
  const kind = crd.status?.acceptedNames?.kind ?? '';
  if (version.subresources?.status)
    out.set('status', { name: 'status', kind, group: crd.spec.group, version: version.name, verbs });
  if (version.subresources?.scale)
    out.set('scale', { name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs });
  return out;
};

const rootOf = (version: Version): Structural => (version.schema?.openAPIV3Schema ?? {}) as unknown as Structural;

/** The version's part of ResourceInfo that its schema and subresources decide. */
const strategyOf = (crd: CustomResourceDefinition, version: Version, schema: ObjectSchema) => {
  const scale = version.subresources?.scale;
  return customStrategy({
    group: crd.spec.group,
    resource: crd.spec.names.plural,
    kind: customKindOf(schema),
    status: version.subresources?.status !== undefined,
    terminating: isTrue(crd, 'Terminating'),
    ...(scale && {
      scale: {
        paths: scalePaths(scale),
        texts: {
          spec: scale.specReplicasPath,
          status: scale.statusReplicasPath,
          ...(scale.labelSelectorPath && { selector: scale.labelSelectorPath }),
        },
      },
    }),
  });
};

/** Stored objects need no second look where every one was written under this very definition, in this version. */
const storedAsServed = (crd: CustomResourceDefinition, version: Version): boolean =>
  version.storage && (crd.metadata.generation ?? 0) <= 1 && crd.spec.versions.length === 1;

/**
 * The resource types of a definition, one a version that is served or stored, under the names that it was granted.
 * `ended` is aborted when they are replaced; `webhook` is what the definition converts by, if it does not by itself.
 */
export const resourcesOf = (crd: CustomResourceDefinition, ended: AbortSignal, webhook?: Webhook): ResourceInfo[] => {
  const { group, versions, scope } = crd.spec;
  const names = crd.status?.acceptedNames ?? crd.spec.names;
  const storage = storageVersion(crd.spec);
  const schemas = new Map(versions.map((v) => [v.name, customSchema(rootOf(v))]));
  const between: Versions = { group, storage, schemas };
  const selectable = new Map(versions.flatMap((v) => [...selectableOf(v)]));
  // Of other versions than the stored one nothing is known at a write where a webhook converts.
  const selectableOfStorage = new Map(versions.filter((v) => v.storage).flatMap((v) => [...selectableOf(v)]));
  return versions
    .filter((v) => v.served || v.storage)
    .map((v) => {
      const scale = v.subresources?.scale;
      const schema = schemas.get(v.name) ?? customSchema({});
      const deprecation = deprecationWarning(crd.spec, v);
      const plain = storedAsServed(crd, v) ? undefined : convertBetween(between, v.name);
      const convert = webhook ? convertByWebhook(between, v.name, webhook) : plain;
      const info: ResourceInfo = {
        group,
        version: v.name,
        resource: names.plural,
        kind: names.kind,
        listKind: names.listKind ?? `${names.kind}List`,
        singular: names.singular ?? names.kind.toLowerCase(),
        namespaced: scope === 'Namespaced',
        verbs: new Set(VERBS),
        shortNames: names.shortNames ?? [],
        categories: names.categories ?? [],
        subresources: subresourcesOf(crd, v),
        schema,
        storage: { group, version: storage, resource: names.plural, kind: names.kind },
        ...(convert && { convert }),
        selectableFields: [...selectableOf(v).keys()],
        fieldValue: (object, field) => textAt(selectable.get(field), object),
        strategy: strategyOf(crd, v, schema),
        custom: true,
        definition: {
          id: `${crd.metadata.uid}/${crd.metadata.generation}`,
          served: v.served,
          indexed: [...(webhook ? selectableOfStorage : selectable).keys()],
          table: columnsTable(v.additionalPrinterColumns),
          ...(scale && { scale: scalePaths(scale) }),
          ...(deprecation !== undefined && { deprecation }),
          verbs: isTrue(crd, 'Terminating') ? VERBS_TERMINATING : VERBS,
          ended,
        },
      };
      publishSchema(info, rootOf(v) as unknown as Record<string, unknown>);
      return info;
    });
};
