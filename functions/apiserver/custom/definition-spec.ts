import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes, checkSubdomain, immutable, oneOf, required } from '../strategies/checks.ts';
import { dns1035Label } from '../strategies/names.ts';
import { checkWebhookClient } from '../strategies/registration.ts';
import { approvalOf, isProtectedGroup } from './approval.ts';
import { isTrue } from './conditions.ts';
import { validFieldPath } from './schema/field-path.ts';
import type { Structural } from './schema/structural.ts';

/**
 * What a definition's spec and status must be besides its schemas, with the paths of upstream's internal type: what all
 * versions share stands at the top of the spec there.
 */

type Spec = CustomResourceDefinition['spec'];
type Version = Spec['versions'][number];
type Names = Spec['names'];

const COLUMN_TYPES = ['boolean', 'date', 'integer', 'number', 'string'];
const COLUMN_FORMATS = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
const SELECTABLE_MAX = 8;
const SELECTABLE_TYPES = new Set(['string', 'boolean', 'integer']);
const REVIEWS = ['v1', 'v1beta1'];

/** The messages of a label that is none, in one cause. */
const label = (out: Causes, path: string, value: string | undefined, before = ''): void => {
  if (!value) return;
  const messages = dns1035Label(value.toLowerCase() !== value && before ? value.toLowerCase() : value);
  if (messages.length > 0) out.push(cause.invalid(path, value, before + messages.join(',')));
};

const checkNames = (out: Causes, path: string, names: Names | undefined): void => {
  const mixed = 'may have mixed case, but should otherwise match: ';
  label(out, `${path}.plural`, names?.plural);
  label(out, `${path}.singular`, names?.singular);
  label(out, `${path}.kind`, names?.kind, mixed);
  label(out, `${path}.listKind`, names?.listKind, mixed);
  for (const field of ['shortNames', 'categories'] as const)
    names?.[field]?.forEach((value, i) => {
      const messages = dns1035Label(value);
      if (messages.length > 0) out.push(cause.invalid(at(`${path}.${field}`, i), value, messages.join(',')));
    });
  if (names?.kind && names.kind === names.listKind)
    out.push(cause.invalid(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'));
};

const checkPath = (out: Causes, path: string, value: string, below: readonly string[]): void => {
  if (!value.startsWith('.')) out.push(cause.invalid(path, value, 'must be a simple json path starting with .'));
  else if (below.length > 0 && !below.some((root) => value.startsWith(`${root}.`)))
    out.push(cause.invalid(path, value, `should be a json path under ${below.join(' or ')}`));
};

const checkScale = (out: Causes, path: string, version: Version): void => {
  const scale = version.subresources?.scale;
  if (!scale) return;
  const { specReplicasPath: spec, statusReplicasPath: status, labelSelectorPath: selector } = scale;
  const where = `${path}.scale`;
  if (required(out, `${where}.specReplicasPath`, spec)) checkPath(out, `${where}.specReplicasPath`, spec, ['.spec']);
  if (required(out, `${where}.statusReplicasPath`, status))
    checkPath(out, `${where}.statusReplicasPath`, status, ['.status']);
  if (selector) checkPath(out, `${where}.labelSelectorPath`, selector, ['.spec', '.status']);
};

const checkColumns = (out: Causes, path: string, { additionalPrinterColumns = [] }: Version): void => {
  additionalPrinterColumns.forEach(({ name, type, format, jsonPath }, i) => {
    const where = at(path, i);
    required(out, `${where}.name`, name);
    const types = `must be one of ${COLUMN_TYPES.join(',')}`;
    if (!type) out.push(cause.required(`${where}.type`, types));
    else if (!COLUMN_TYPES.includes(type)) out.push(cause.invalid(`${where}.type`, type, types));
    if (format && !COLUMN_FORMATS.includes(format))
      out.push(cause.invalid(`${where}.format`, format, `must be one of ${COLUMN_FORMATS.join(',')}`));
    if (required(out, `${where}.JSONPath`, jsonPath)) checkPath(out, `${where}.JSONPath`, jsonPath, []);
  });
};

const checkSelectable = (out: Causes, path: string, version: Version, old: Version | undefined): void => {
  const fields = version.selectableFields ?? [];
  const schema = version.schema?.openAPIV3Schema as unknown as Structural | undefined;
  if (fields.length === 0) return;
  if (!schema) {
    out.push(cause.invalid(path, '', 'may only be set when the schema is included'));
    return;
  }
  const seen = new Set<string>();
  fields.forEach(({ jsonPath }, i) => {
    const where = `${at(path, i)}.jsonPath`;
    if (!required(out, where, jsonPath)) return;
    const found = validFieldPath(jsonPath, schema, false);
    if ('fault' in found) {
      out.push(cause.invalid(where, jsonPath, `is an invalid path: ${found.fault}`));
      return;
    }
    if (found.root === 'metadata') out.push(cause.invalid(where, jsonPath, 'must not point to fields in metadata'));
    if (!SELECTABLE_TYPES.has(found.schema?.type ?? '')) {
      const types = 'must point to a field of type string, boolean or integer';
      out.push(cause.invalid(where, jsonPath, `${types}. Enum string fields and strings with formats are allowed.`));
    }
    if (seen.has(found.path)) out.push(cause.duplicate(where, jsonPath));
    seen.add(found.path);
  });
  const kept = (old?.selectableFields?.length ?? 0) > SELECTABLE_MAX && same(old?.selectableFields, fields);
  if (seen.size > SELECTABLE_MAX && !kept) out.push(cause.tooMany(path, seen.size, SELECTABLE_MAX));
};

const same = (a: unknown, b: unknown): boolean => equalJson((a ?? null) as never, (b ?? null) as never);

/** The versions whose field is to be checked, with the path where upstream reports its faults. */
const placesOf = (versions: readonly Version[], field: keyof Version): { version: Version; path: string }[] => {
  const [first] = versions;
  if (!first) return [];
  if (versions.every((v) => same(v[field], first[field]))) return [{ version: first, path: `spec.${field}` }];
  return versions.map((version, i) => ({ version, path: `spec.versions[${i}].${field}` }));
};

const warningFaults = ({ deprecated, deprecationWarning: text }: Version): string[] => {
  if (text === undefined) return [];
  if (!deprecated) return ['can only be set for deprecated versions'];
  const out: string[] = [];
  if (Buffer.byteLength(text) > 256) out.push('must be <= 256 characters long');
  if (text === '') out.push('must not be an empty string');
  const odd = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(text);
  if (odd) {
    const where = Buffer.byteLength(text.slice(0, odd.index));
    const kind = 'non-printable character found at index';
    out.push(`must only contain printable UTF-8 characters; ${kind} ${where}`);
  }
  return out;
};

const checkVersions = (out: Causes, spec: Spec, old: Spec | undefined): void => {
  const versions = spec.versions ?? [];
  versions.forEach((version, i) => {
    const where = at('spec.versions', i);
    const messages = dns1035Label(version.name ?? '');
    if (messages.length > 0) {
      out.push(cause.invalid(`${where}.name`, version.name, messages.join(',')));
      if (i === 0 && version.name) out.push(cause.invalid('spec.version', version.name, messages.join(',')));
    }
    for (const text of warningFaults(version))
      out.push(cause.invalid(`${where}.deprecationWarning`, version.deprecationWarning, text));
  });
  for (const { version, path } of placesOf(versions, 'subresources')) checkScale(out, path, version);
  for (const { version, path } of placesOf(versions, 'additionalPrinterColumns')) checkColumns(out, path, version);
  for (const { version, path } of placesOf(versions, 'selectableFields')) {
    const before = old?.versions.find((v) => v.name === version.name);
    checkSelectable(out, path, version, before);
  }
  if (new Set(versions.map((v) => v.name)).size < versions.length)
    out.push(cause.invalid('spec.versions', null, 'must contain unique version names'));
  if (versions.filter((v) => v.storage).length !== 1)
    out.push(cause.invalid('spec.versions', null, 'must have exactly one version marked as storage version'));
};

const checkReviews = (out: Causes, path: string, versions: readonly string[], recognized: boolean): void => {
  if (versions.length === 0) {
    out.push(cause.required(path));
    return;
  }
  versions.forEach((version, i) => {
    if (versions.indexOf(version) < i) out.push(cause.invalid(at(path, i), version, 'duplicate version'));
    else for (const message of dns1035Label(version)) out.push(cause.invalid(at(path, i), version, message));
  });
  if (recognized && !versions.some((version) => REVIEWS.includes(version)))
    out.push(cause.invalid(path, versions, `must include at least one of ${REVIEWS.join(', ')}`));
};

const hasReview = (spec: Spec | undefined): boolean => {
  const versions = spec?.conversion?.webhook?.conversionReviewVersions ?? [];
  return versions.length === 0 || versions.some((version) => REVIEWS.includes(version));
};

const checkConversion = (out: Causes, spec: Spec, old: Spec | undefined): void => {
  const path = 'spec.conversion';
  const { strategy, webhook } = spec.conversion ?? {};
  if (!spec.conversion) return;
  const reviews = webhook?.conversionReviewVersions ?? [];
  if (required(out, `${path}.strategy`, strategy)) oneOf(out, `${path}.strategy`, strategy, ['None', 'Webhook']);
  if (strategy !== 'Webhook') {
    const why = 'should not be set when strategy is not set to Webhook';
    if (webhook?.clientConfig) out.push(cause.forbidden(`${path}.webhookClientConfig`, why));
    if (reviews.length > 0) out.push(cause.forbidden(`${path}.conversionReviewVersions`, why));
    return;
  }
  if (spec.preserveUnknownFields)
    out.push(cause.invalid(`${path}.strategy`, strategy, 'must be None if spec.preserveUnknownFields is true'));
  const client = webhook?.clientConfig;
  if (client) checkWebhookClient(out, `${path}.webhookClientConfig`, client);
  else out.push(cause.required(`${path}.webhookClientConfig`, 'required when strategy is set to Webhook'));
  checkReviews(out, `${path}.conversionReviewVersions`, reviews, !old || hasReview(old));
};

const checkStored = (out: Causes, crd: CustomResourceDefinition): void => {
  const path = 'status.storedVersions';
  const stored = crd.status?.storedVersions ?? [];
  const versions = crd.spec?.versions ?? [];
  if (stored.length === 0) {
    out.push(cause.invalid(path, null, 'must have at least one stored version'));
    return;
  }
  for (const { name, storage } of versions)
    if (storage && !stored.includes(name))
      out.push(cause.invalid(path, stored, `must have the storage version ${name}`));
  stored.forEach((name, i) => {
    if (versions.some((v) => v.name === name)) return;
    const why = `${name} was previously a storage version, and must remain in spec.versions until a storage migration`;
    const then = `ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`;
    out.push(cause.invalid(at(path, i), name, `missing from spec.versions; ${why} ${then}`));
  });
};

const ANNOTATION = 'metadata.annotations[api-approved.kubernetes.io]';

const checkApproval = (out: Causes, crd: CustomResourceDefinition, old: CustomResourceDefinition | undefined): void => {
  if (!isProtectedGroup(crd.spec?.group ?? '')) return;
  const { state, text } = approvalOf(crd.metadata.annotations);
  if (old && approvalOf(old.metadata.annotations).state === state) return;
  const value = crd.metadata.annotations?.['api-approved.kubernetes.io'];
  if (state === 'missing') out.push(cause.required(ANNOTATION, text));
  else if (state === 'invalid') out.push(cause.invalid(ANNOTATION, value, text));
};

/** The faults of a definition outside its schemas. `old` is the state that an update starts from. */
export const definitionCauses = (crd: CustomResourceDefinition, old?: CustomResourceDefinition): Causes => {
  const out: Causes = [];
  const { spec } = crd;
  if (required(out, 'spec.group', spec?.group)) {
    checkSubdomain(out, 'spec.group', spec.group);
    if (out.length === 0 && !spec.group.includes('.'))
      out.push(cause.invalid('spec.group', spec.group, 'should be a domain with at least one dot'));
  }
  if (required(out, 'spec.scope', spec?.scope)) oneOf(out, 'spec.scope', spec.scope, ['Cluster', 'Namespaced']);
  if (!spec) return out;
  checkVersions(out, spec, old?.spec);
  for (const field of ['plural', 'singular', 'kind', 'listKind'] as const)
    required(out, `spec.names.${field}`, spec.names?.[field]);
  checkNames(out, 'spec.names', spec.names);
  checkConversion(out, spec, old?.spec);
  checkNames(out, 'status.acceptedNames', crd.status?.acceptedNames);
  checkStored(out, crd);
  checkApproval(out, crd, old);
  if (spec.preserveUnknownFields && !old?.spec.preserveUnknownFields) {
    const instead = 'set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead';
    out.push(cause.invalid('spec.preserveUnknownFields', true, `cannot set to true, ${instead}`));
  }
  if (!old) return out;
  immutable(out, 'spec.group', spec.group, old.spec.group);
  immutable(out, 'spec.names.plural', spec.names?.plural, old.spec.names?.plural);
  if (!isTrue(old, 'Established')) return out;
  immutable(out, 'spec.scope', spec.scope, old.spec.scope);
  immutable(out, 'spec.names.kind', spec.names?.kind, old.spec.names?.kind);
  return out;
};

/** The faults of a definition's status when that is written by itself. */
export const definitionStatusCauses = (crd: CustomResourceDefinition): Causes => {
  const out: Causes = [];
  checkNames(out, 'status.acceptedNames', crd.status?.acceptedNames);
  return out;
};
