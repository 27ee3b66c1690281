import { parseKey } from '../../machinery/object.ts';
import { checkFieldLabels, matchFields, parseFieldSelector, parseLabelSelector } from '../../machinery/selectors.ts';
import type { Indexed } from '../../store/store.ts';
import type { Call } from '../context.ts';

export type Matcher = ((key: string, index: Indexed) => boolean) | undefined;

/** What the label and field selectors and the name of a request select; undefined selects everything. Throws 400. */
export const matcherOf = (call: Call, name = call.info.name): Matcher => {
  const { info, resource } = call;
  const labels = parseLabelSelector(info.query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(info.query.get('fieldSelector') ?? '');
  const supported = resource.namespaced ? ['metadata.name', 'metadata.namespace'] : ['metadata.name'];
  checkFieldLabels(fields, [...supported, ...resource.selectableFields]);
  if (labels.empty && fields.length === 0 && !name) return undefined;
  return (key, index) => {
    if (!labels.empty && !labels.matches(index.labels)) return false;
    if (fields.length === 0 && !name) return true;
    const id = parseKey(key);
    if (name && id.name !== name) return false;
    return matchFields(fields, (f) =>
      f === 'metadata.name' ? id.name : f === 'metadata.namespace' ? id.namespace : (index.fields[f] ?? ''),
    );
  };
};
