import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import { markDefinitionDeleted } from '../custom/lifecycle.ts';
import { loadSchemaEngines, schemaCauses } from '../custom/schema/definition-schema.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, checkSubdomain, immutable, invalidEach, oneOf, required } from './checks.ts';
import { dns1035Label } from './names.ts';

const checkNames = (out: Causes, crd: CustomResourceDefinition): void => {
  const path = 'spec.names';
  const names = crd.spec?.names;
  for (const field of ['plural', 'singular', 'kind', 'listKind'] as const) {
    const value = names?.[field] ?? '';
    if (!required(out, `${path}.${field}`, value)) continue;
    invalidEach(
      out,
      `${path}.${field}`,
      value,
      dns1035Label(field.toLowerCase().includes('kind') ? value.toLowerCase() : value),
    );
  }
  for (const field of ['shortNames', 'categories'] as const) {
    names?.[field]?.forEach((value, i) => {
      invalidEach(out, at(`${path}.${field}`, i), value, dns1035Label(value));
    });
  }
  if (names?.kind && names.kind === names.listKind) {
    out.push(cause.invalid(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'));
  }
};

const checkVersions = (out: Causes, crd: CustomResourceDefinition): void => {
  const versions = crd.spec?.versions ?? [];
  if (versions.length === 0) out.push(cause.required('spec.versions'));
  const seen = new Set<string>();
  versions.forEach((version, i) => {
    const where = at('spec.versions', i);
    invalidEach(out, `${where}.name`, version.name ?? '', dns1035Label(version.name ?? ''));
    if (seen.has(version.name)) out.push(cause.invalid('spec.versions', null, 'must contain unique version names'));
    seen.add(version.name);
  });
  if (versions.filter((version) => version.storage).length !== 1) {
    out.push(cause.invalid('spec.versions', null, 'must have exactly one version marked as storage version'));
  }
};

const storageOf = (crd: CustomResourceDefinition): string | undefined =>
  crd.spec?.versions?.find((version) => version.storage)?.name;

const nameCauses = (object: KubeObject): Causes => {
  const { metadata, spec } = object as CustomResourceDefinition;
  if (metadata.name === `${spec?.names?.plural ?? ''}.${spec?.group ?? ''}`) return [];
  return [cause.invalid('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group')];
};

const specCauses = (object: KubeObject): Causes => {
  const out: Causes = [];
  const crd = object as CustomResourceDefinition;
  const group = crd.spec?.group ?? '';
  if (required(out, 'spec.group', group)) {
    checkSubdomain(out, 'spec.group', group);
    if (!group.includes('.')) out.push(cause.invalid('spec.group', group, 'should be a domain with at least one dot'));
  }
  if (required(out, 'spec.scope', crd.spec?.scope))
    oneOf(out, 'spec.scope', crd.spec?.scope, ['Cluster', 'Namespaced']);
  checkVersions(out, crd);
  checkNames(out, crd);
  const strategy = crd.spec?.conversion?.strategy;
  oneOf(out, 'spec.conversion.strategy', strategy, ['None', 'Webhook']);
  if (strategy === 'Webhook' && !crd.spec?.conversion?.webhook?.clientConfig) {
    out.push(cause.required('spec.conversion.webhookClientConfig', 'required when strategy is set to Webhook'));
  }
  return out;
};

const changeCauses = (nextObject: KubeObject, oldObject: KubeObject): Causes => {
  const out: Causes = [];
  const next = (nextObject as CustomResourceDefinition).spec;
  const old = (oldObject as CustomResourceDefinition).spec;
  const established = (oldObject as CustomResourceDefinition).status?.conditions?.some(
    (condition) => condition.type === 'Established' && condition.status === 'True',
  );
  immutable(out, 'spec.group', next?.group, old?.group);
  immutable(out, 'spec.names.plural', next?.names?.plural, old?.names?.plural);
  if (!established) return out;
  immutable(out, 'spec.scope', next?.scope, old?.scope);
  immutable(out, 'spec.names.kind', next?.names?.kind, old?.names?.kind);
  return out;
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
    ...specCauses(object),
    ...schemaCauses(object as CustomResourceDefinition),
  ],
  validateUpdate: (next, old) => [
    ...specCauses(next),
    ...schemaCauses(next as CustomResourceDefinition, old as CustomResourceDefinition),
    ...changeCauses(next, old),
  ],
};
