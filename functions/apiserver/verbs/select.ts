import { parseKey } from '../../machinery/object.ts';
import { checkFieldLabels, matchFields, parseFieldSelector, parseLabelSelector } from '../../machinery/selectors.ts';
import type { Indexed, Stored } from '../../store/store.ts';
import { type Call, domainOf } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';
import { parseStored, readied } from '../stored-object.ts';

export type Matcher = ((key: string, index: Indexed) => boolean) | undefined;

/** States by their index, of those that a watch tells of and a replica may no longer hold. */
const states = new WeakMap<Indexed, Stored>();

/** Readies states to be matched by fields that only their converted form has. */
export const readiedToMatch = async (call: Call, stored: readonly Stored[]): Promise<void> => {
  await readied(call.resource, stored);
  for (const one of stored) states.set(one.index, one);
};

/** True where fields can be matched only after `readiedToMatch`: another server converts the objects. */
export const matchesConverted = (call: Call): boolean =>
  call.resource.convert?.prepare !== undefined && (call.info.query.get('fieldSelector') ?? '') !== '';

/** A field that a definition made selectable after the object was written: the object itself has to be looked into. */
const unindexed = (call: Call, key: string, index: Indexed, field: string): string => {
  if (!call.resource.definition) return '';
  const present = call.server.replicas.peek(domainOf(call.info.cluster, call.resource))?.get(key);
  const stored = present?.index === index ? present : states.get(index);
  return stored ? call.resource.fieldValue(parseStored(call.resource, stored.bytes), field) : '';
};

/** Upstream's sentence of a field that cannot be selected by: kinds with fields of their own have one of their own. */
const unknownLabel = ({ custom, selectableFields, group, version, kind }: ResourceInfo, field: string): string => {
  if (group === 'batch') return `field label ${JSON.stringify(field)} not supported for ${kind}`;
  if (group === 'resource.k8s.io') return `field label not supported for ${group}/${version}, Kind=${kind}: ${field}`;
  if (custom || (selectableFields.length > 0 && group !== 'apps')) return `field label not supported: ${field}`;
  return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
};

/** What the label and field selectors and the name of a request select; undefined selects everything. Throws 400. */
export const matcherOf = (call: Call, name = call.info.name): Matcher => {
  const { info, resource } = call;
  const labels = parseLabelSelector(info.query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(info.query.get('fieldSelector') ?? '');
  const supported = resource.namespaced ? ['metadata.name', 'metadata.namespace'] : ['metadata.name'];
  checkFieldLabels(fields, [...supported, ...resource.selectableFields], (field) => unknownLabel(resource, field));
  if (labels.empty && fields.length === 0 && !name) return undefined;
  return (key, index) => {
    if (!labels.empty && !labels.matches(index.labels)) return false;
    if (fields.length === 0 && !name) return true;
    const id = parseKey(key);
    if (name && id.name !== name) return false;
    return matchFields(fields, (f) =>
      f === 'metadata.name'
        ? id.name
        : f === 'metadata.namespace'
          ? id.namespace
          : (index.fields[f] ?? unindexed(call, key, index, f)),
    );
  };
};
