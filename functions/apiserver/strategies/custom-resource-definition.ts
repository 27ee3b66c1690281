import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import { definitionCauses, definitionStatusCauses } from '../custom/definition-spec.ts';
import { markDefinitionDeleted } from '../custom/lifecycle.ts';
import { loadSchemaEngines, schemaCauses } from '../custom/schema/definition-schema.ts';
import type { Strategy } from '../registry.ts';
import type { Causes } from './checks.ts';

const storageOf = (crd: CustomResourceDefinition): string | undefined =>
  crd.spec?.versions?.find((version) => version.storage)?.name;

const nameCauses = (object: KubeObject): Causes => {
  const { metadata, spec } = object as CustomResourceDefinition;
  if (metadata.name === `${spec?.names?.plural ?? ''}.${spec?.group ?? ''}`) return [];
  return [cause.invalid('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group')];
};

/** CustomResourceDefinitions: names, versions, and a root schema of type object. */
export const definitionStrategy: Strategy = {
  markDeleted: (object, now) => markDefinitionDeleted(object as CustomResourceDefinition, now),
  prepareForCreate: (object) => {
    const crd = object as CustomResourceDefinition;
    const storage = storageOf(crd);
    const status = {
      conditions: null,
      acceptedNames: { plural: '', kind: '' },
      storedVersions: storage ? [storage] : null,
    };
    crd.status = status as unknown as NonNullable<CustomResourceDefinition['status']>;
  },
  prepareForUpdate: (next, old, ctx) => {
    const crd = next as CustomResourceDefinition;
    const before = (old as CustomResourceDefinition).status;
    if (ctx.subresource !== '' || !before) return;
    const storage = storageOf(crd);
    const stored = before.storedVersions ?? [];
    crd.status = { ...before, storedVersions: storage && !stored.includes(storage) ? [...stored, storage] : stored };
  },
  ready: (object) => loadSchemaEngines(object as CustomResourceDefinition),
  validateCreate: (object) => [
    ...nameCauses(object),
    ...definitionCauses(object as CustomResourceDefinition),
    ...schemaCauses(object as CustomResourceDefinition),
  ],
  validateUpdate: (next, old) => [
    ...definitionCauses(next as CustomResourceDefinition, old as CustomResourceDefinition),
    ...schemaCauses(next as CustomResourceDefinition, old as CustomResourceDefinition),
  ],
  validateStatusUpdate: (next) => definitionStatusCauses(next as CustomResourceDefinition),
};
