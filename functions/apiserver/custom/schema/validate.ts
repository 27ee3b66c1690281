/**
 * Holds values to a schema as Kubernetes' OpenAPI validation does, with its causes. On an update, faults of a part that
 * did not change are let pass (KEP-4008).
 *
 *   validateValue(node, value, { path?, old? }) -> Cause[]
 */
import type { Json, JsonObject } from '../../../machinery/object.ts';
import type { Cause } from '../../../machinery/status.ts';
import { ABSENT, type Old, oldField, oldItems, unchanged } from './correlate.ts';
import {
  checkEnum,
  checkItemCount,
  checkNumber,
  checkPropertyCount,
  checkString,
  type Failure,
  forbiddenField,
  missingField,
  typeFailure,
  unplaced,
  wrongType,
} from './keywords.ts';
import type { Node } from './node.ts';

interface Walk {
  failures: Failure[];
  /** How many checks a value passed: of alternatives that all fail, the one that passed most is told. */
  matches: number;
  path: (string | number)[];
  report: (failure: Failure) => void;
}

const pathOf = (walk: Walk): string => {
  let text = '';
  for (const p of walk.path) text += typeof p === 'number' ? `[${p}]` : text ? `.${p}` : p;
  return text;
};

/** Runs a schema apart from the others, for its verdict. */
const apart = (walk: Walk, node: Node, value: Json, old: Old): { failures: Failure[]; matches: number } => {
  const { failures, matches } = walk;
  walk.failures = [];
  walk.matches = 0;
  visit(walk, node, value, old, true);
  const verdict = { failures: walk.failures, matches: walk.matches };
  walk.failures = failures;
  walk.matches = matches;
  return verdict;
};

const take = (walk: Walk, verdict: { failures: Failure[]; matches: number } | undefined): void => {
  if (!verdict) return;
  walk.failures.push(...verdict.failures);
  walk.matches += verdict.matches;
};

const anyOf = (walk: Walk, node: Node, value: Json, old: Old): void => {
  let best: ReturnType<typeof apart> | undefined;
  for (const choice of node.anyOf) {
    const verdict = apart(walk, choice, value, old);
    if (verdict.failures.length === 0) {
      take(walk, verdict);
      return;
    }
    if (!best || verdict.matches > best.matches) best = verdict;
  }
  walk.report(unplaced(`${JSON.stringify(pathOf(walk))} must validate at least one schema (anyOf)`));
  take(walk, best);
};

const oneOf = (walk: Walk, node: Node, value: Json, old: Old): void => {
  let best: ReturnType<typeof apart> | undefined;
  let first: ReturnType<typeof apart> | undefined;
  let valid = 0;
  for (const choice of node.oneOf) {
    const verdict = apart(walk, choice, value, old);
    if (verdict.failures.length === 0) {
      valid++;
      best = undefined;
      first ??= verdict;
    } else if (valid === 0 && (!best || verdict.matches > best.matches)) best = verdict;
  }
  if (valid === 1) {
    take(walk, first);
    return;
  }
  const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
  walk.report(unplaced(`${JSON.stringify(pathOf(walk))} must validate one and only one schema (oneOf). ${found}`));
  take(walk, best);
};

const allOf = (walk: Walk, node: Node, value: Json, old: Old): void => {
  let valid = 0;
  for (const part of node.allOf) {
    const verdict = apart(walk, part, value, old);
    if (verdict.failures.length === 0) valid++;
    take(walk, verdict);
  }
  if (valid === node.allOf.length) return;
  const none = valid === 0 ? '. None validated' : '';
  walk.report(unplaced(`${JSON.stringify(pathOf(walk))} must validate all the schemas (allOf)${none}`));
};

const combinators = (walk: Walk, node: Node, value: Json, old: Old): void => {
  if (node.anyOf.length > 0) anyOf(walk, node, value, old);
  if (node.oneOf.length > 0) oneOf(walk, node, value, old);
  if (node.allOf.length > 0) allOf(walk, node, value, old);
  if (node.not && apart(walk, node.not, value, old).failures.length === 0)
    walk.report(unplaced(`${JSON.stringify(pathOf(walk))} must not validate the schema (not)`));
};

const visitField = (walk: Walk, parent: Node, node: Node, name: string, value: Json, old: Old): void => {
  walk.path.push(name);
  // What the request's version says is in the URL: a wrong one is never excused.
  const typeMeta = walk.path.length === 1 && (name === 'kind' || name === 'apiVersion');
  visit(walk, node, value, typeMeta ? ABSENT : oldField(parent, old, name));
  walk.path.pop();
};

const visitObject = (walk: Walk, node: Node, value: JsonObject, old: Old): void => {
  const { schema, properties, values } = node;
  if (schema.minProperties !== undefined || schema.maxProperties !== undefined)
    checkPropertyCount(walk.report, node, Object.keys(value).length, pathOf(walk));
  if (properties) {
    for (const [name, property] of properties) {
      const given = value[name];
      if (given !== undefined && Object.hasOwn(value, name)) visitField(walk, node, property, name, given, old);
    }
  }
  if (values || node.closed) {
    for (const name of Object.keys(value)) {
      if (properties?.has(name)) continue;
      if (values) visitField(walk, node, values, name, value[name] ?? null, old);
      else walk.report(forbiddenField(pathOf(walk), name));
    }
  }
  if (!schema.required) return;
  for (const name of schema.required) {
    if (Object.hasOwn(value, name)) continue;
    const at = pathOf(walk);
    walk.report(missingField(at ? `${at}.${name}` : name));
  }
};

const visitArray = (walk: Walk, node: Node, value: Json[], old: Old): void => {
  const { items, schema } = node;
  if (items) {
    const find = old === ABSENT ? undefined : oldItems(node, old);
    for (let i = 0; i < value.length; i++) {
      const item = value[i] ?? null;
      walk.path.push(i);
      visit(walk, items, item, find ? find(item) : ABSENT);
      walk.path.pop();
    }
  }
  if (schema.minItems !== undefined || schema.maxItems !== undefined || schema.uniqueItems)
    checkItemCount(walk.report, node, value, pathOf(walk));
};

const checkType = (walk: Walk, node: Node, value: Json): void => {
  if (node.types.length === 0 && !node.format) return;
  const [only] = node.types;
  if (node.types.length === 1 && only === typeof value && value !== null && !Array.isArray(value)) walk.matches += 2;
  else {
    const failure = typeFailure(node, value, pathOf(walk));
    walk.matches += failure ? 1 : 2;
    if (failure) walk.report(failure);
  }
};

const checkScalar = (walk: Walk, node: Node, value: Json): void => {
  const { schema } = node;
  if (typeof value === 'string') {
    walk.matches++;
    if (schema.maxLength !== undefined || schema.minLength !== undefined || schema.pattern)
      checkString(walk.report, node, value, pathOf(walk));
    if (node.formatCheck) {
      walk.matches++;
      if (!node.formatCheck(value)) walk.report(wrongType(pathOf(walk), schema.format ?? '', value));
    }
  } else if (typeof value === 'number') {
    walk.matches += 2;
    checkNumber(walk.report, node, value, pathOf(walk));
  }
};

/** One value; `alternative` marks a schema of a combinator, whose faults its parent answers for. */
const visit = (walk: Walk, node: Node, value: Json, old: Old, alternative = false): void => {
  const before = walk.failures.length;
  checkType(walk, node, value);
  if (value === null) {
    if (node.schema.enum) checkEnum(walk.report, node, value, pathOf(walk));
  } else {
    walk.matches += 2;
    combinators(walk, node, value, old);
    checkScalar(walk, node, value);
    if (node.schema.enum) checkEnum(walk.report, node, value, pathOf(walk));
    walk.matches++;
    if (Array.isArray(value)) {
      walk.matches += 2;
      visitArray(walk, node, value, old);
    } else if (typeof value === 'object') {
      walk.matches++;
      visitObject(walk, node, value, old);
    }
    walk.matches++;
  }
  if (walk.failures.length > before && old !== ABSENT && !alternative && unchanged(node, value, old))
    walk.failures.length = before;
};

/** The faults of a value. `path` is where it stands; with `old`, those of unchanged parts are left out. */
export const validateValue = (node: Node, value: Json, at: { path?: string; old?: Old } = {}): Cause[] => {
  const walk: Walk = {
    failures: [],
    matches: 0,
    path: at.path ? [at.path] : [],
    report: (failure) => void walk.failures.push(failure),
  };
  visit(walk, node, value, at.old === undefined ? ABSENT : at.old);
  if (walk.failures.length === 0) return [];
  const seen = new Set<string>();
  const causes: Cause[] = [];
  for (const { text, cause } of walk.failures) {
    if (seen.has(text)) continue;
    seen.add(text);
    const unplaced = cause.field === '' || cause.field === '<nil>';
    causes.push(unplaced ? { ...cause, field: at.path || '<nil>' } : cause);
  }
  return causes;
};
