import { validateObjectMeta } from '../../../machinery/metadata.ts';
import { dns1035Label, pathSegmentName } from '../../../machinery/names.ts';
import type { Json, JsonObject, KubeObject } from '../../../machinery/object.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { childNode, type Node } from './node.ts';

/** The faults of embedded resources: apiVersion, kind and metadata of each. */
export const embeddedCauses = (node: Node, value: Json, path = ''): Cause[] => {
  const out: Cause[] = [];
  if (node.hasEmbedded) visit(out, node, value, path);
  return out;
};

const checkTypeMeta = (out: Cause[], value: JsonObject, path: string): void => {
  const { apiVersion, kind } = value;
  const at = (name: string): string => `${path}.${name}`;
  if (apiVersion === undefined) out.push(cause.required(at('apiVersion')));
  else if (typeof apiVersion !== 'string') out.push(cause.invalid(at('apiVersion'), apiVersion, 'must be a string'));
  else if (apiVersion === '') out.push(cause.invalid(at('apiVersion'), '', 'must not be empty'));
  else if (apiVersion.split('/').length > 2)
    out.push(cause.invalid(at('apiVersion'), apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  if (kind === undefined) out.push(cause.required(at('kind')));
  else if (typeof kind !== 'string') out.push(cause.invalid(at('kind'), kind, 'must be a string'));
  else if (kind === '') out.push(cause.invalid(at('kind'), '', 'must not be empty'));
  else {
    const why = dns1035Label(kind.toLowerCase());
    const detail = `may have mixed case, but should otherwise match: ${why.join(',')}`;
    if (why.length > 0) out.push(cause.invalid(at('kind'), kind, detail));
  }
};

const checkResource = (out: Cause[], value: JsonObject, path: string): void => {
  checkTypeMeta(out, value, path);
  const metadata = value.metadata as KubeObject['metadata'] | undefined;
  if (!metadata) return;
  // An embedded resource need not have a name.
  const named = { ...metadata, name: metadata.name || 'fakename' };
  const rules = { namespaced: Boolean(metadata.namespace), validateName: pathSegmentName, path: `${path}.metadata` };
  out.push(...validateObjectMeta(named, rules));
};

const visit = (out: Cause[], node: Node, value: Json, path: string): void => {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    const { items } = node;
    if (items?.hasEmbedded) value.forEach((item, i) => void visit(out, items, item, `${path}[${i}]`));
    return;
  }
  if (node.embedded) checkResource(out, value, path);
  for (const name of Object.keys(value)) {
    const child = childNode(node, name);
    if (!child?.hasEmbedded) continue;
    const at = node.properties?.has(name) ? (path ? `${path}.${name}` : name) : `${path}[${name}]`;
    visit(out, child, value[name] ?? null, at);
  }
};
