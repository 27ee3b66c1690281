/** Defaults of a definition's schema: each has to be valid, and to hold declared fields only. */
import type { Json, JsonObject } from '../../../machinery/object.ts';
import { type Cause, cause, StatusError } from '../../../machinery/status.ts';
import { embeddedCauses } from './embedded.ts';
import { compileNode, type Node } from './node.ts';
import { pruned } from './prune.ts';
import { type RuleTree, ruleCauses, rulesOf } from './rules.ts';
import type { Structural } from './structural.ts';
import { validateValue } from './validate.ts';

/** Puts a value at its place within the resource that surrounds it. */
type Surround = (value: Json) => JsonObject;

interface Walk {
  out: Cause[];
  requirePruned: boolean;
  /** What rules may still cost. */
  budget: number;
}
interface Place {
  node: Node;
  /** The schema of the resource around it. */
  resource: Node;
  surround: Surround;
  insideMeta: boolean;
  path: string;
}

const asResource: Surround = (value) => ({ apiVersion: 'validation/v1', kind: 'Validation', ...(value as JsonObject) });

const metadataFault = (resource: Node, object: JsonObject): string | undefined => {
  const root = { ...resource, embedded: true, hasEmbedded: true };
  try {
    const causes = embeddedCauses(root, pruned(root, object).value);
    return causes.length > 0 ? causes.map((c) => `${c.field}: ${c.message}`).join(', ') : undefined;
  } catch (error) {
    if (error instanceof StatusError) return error.message;
    throw error;
  }
};

/** What is wrong with the metadata of resources in a default, or with the metadata that a default is part of. */
const metadataCauses = (place: Place, value: Json, at: string): Cause[] => {
  if (place.insideMeta) {
    const fault = metadataFault(place.resource, place.surround(value));
    return fault === undefined ? [] : [cause.invalid(at, value, `must result in valid metadata: ${fault}`)];
  }
  return embeddedCauses(place.node, value, at);
};

const checkRules = (walk: Walk, rules: RuleTree | undefined, value: Json, at: string): void => {
  if (!rules) return;
  const before = walk.out.length;
  const same = ruleCauses(rules, value, { old: value, path: at, budget: walk.budget });
  walk.out.push(...same.causes);
  let left = same.budget;
  if (walk.out.length === before) {
    // Rules with an optional old value also have to hold where there is none.
    const fresh = ruleCauses(rules, value, { path: at, budget: walk.budget });
    walk.out.push(...fresh.causes);
    left = Math.min(left, fresh.budget);
  }
  walk.budget = left;
};

const checkDefault = (walk: Walk, place: Place, value: Json): void => {
  const at = `${place.path}.default`;
  if (!place.insideMeta) {
    try {
      const lost = pruned(place.node, value).lost;
      if (walk.requirePruned && lost) walk.out.push(cause.invalid(at, value, 'must not have unknown fields'));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      walk.out.push(cause.invalid(at, value, error.message));
      return;
    }
  }
  const meta = metadataCauses(place, value, at);
  const causes = meta.length > 0 ? meta : validateValue(place.node, value, { path: at });
  walk.out.push(...causes);
  if (causes.length === 0) checkRules(walk, rulesOf(place.node, place.node === place.resource), value, at);
};

const visit = (walk: Walk, given: Place): void => {
  const { node, path } = given;
  const embedded = node.embedded || node === given.resource;
  const place: Place = embedded ? { ...given, resource: node, insideMeta: false, surround: asResource } : given;
  if (node.default !== undefined) checkDefault(walk, place, node.default);
  if (walk.budget < 0) return;
  if (node.items) {
    const surround: Surround = (value) => place.surround([value]);
    visit(walk, { ...place, node: node.items, surround, path: `${path}.items` });
  }
  for (const [name, child] of node.properties ?? []) {
    const meta = embedded && (name === 'metadata' || name === 'apiVersion' || name === 'kind');
    visit(walk, {
      ...place,
      node: child,
      insideMeta: place.insideMeta || meta,
      surround: (value) => place.surround({ [name]: value }),
      path: `${path}.properties[${name}]`,
    });
    if (walk.budget < 0) return;
  }
};

/** The faults of all defaults in a structural schema. */
export const defaultCauses = (schema: Structural, path: string, requirePruned: boolean, budget: number): Cause[] => {
  const walk: Walk = { out: [], requirePruned, budget };
  const node = compileNode(schema);
  visit(walk, { node, resource: node, surround: asResource, insideMeta: false, path });
  return walk.out;
};
