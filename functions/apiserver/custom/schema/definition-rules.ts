/** Rules of a definition when it is written: whether they compile, what they may look at, and what they could cost. */
import { ESTIMATE_LIMIT } from '../../../machinery/cel/environment.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { declarationOf, mostOften } from './declaration.ts';
import { compileRules, type RuleProgram } from './rule-programs.ts';
import { type Structural, type ValidationRule, valuesOf } from './structural.ts';

/** What all rules of a definition could cost together. */
export interface CostTally {
  total: number;
  /** Rules that weigh, the most expensive first. */
  expensive: { path: string; cost: number }[];
}
export interface RuleContexts {
  tally: CostTally;
  /** The faults of the rules of a schema. */
  check: (schema: Structural, path: string) => Cause[];
}

const TOTAL_LIMIT = 100_000_000;
const EXPENSIVE_MAX = 4;
const RULES = 'x-kubernetes-validations';

/** What is known of a schema's place: how often its data can stand in an object, and whether old data is found again. */
interface Place {
  /** Undefined where nothing above bounds it. */
  often: number | undefined;
  /** The list within which items are not found again, '' where there is none. */
  uncorrelated: string;
  isResource: boolean;
}

const factorOf = (s: Structural): number | undefined => {
  if (s.type === 'array') return s.maxItems === undefined ? undefined : Math.max(0, s.maxItems);
  if (s.type === 'object' && s.additionalProperties !== undefined)
    return s.maxProperties === undefined ? undefined : Math.max(0, s.maxProperties);
  return 1;
};

const placeAll = (places: Map<Structural, Place>, s: Structural, place: Place, path: string): void => {
  places.set(s, place);
  const factor = factorOf(s);
  const often = place.often === undefined || factor === undefined ? undefined : place.often * factor;
  const below = (child: Structural, at: string, uncorrelated = place.uncorrelated): void => {
    const isResource = child['x-kubernetes-embedded-resource'] === true;
    placeAll(places, child, { often, uncorrelated, isResource }, at);
  };
  for (const [name, child] of Object.entries(s.properties ?? {})) below(child, `${path}.properties[${name}]`);
  const values = valuesOf(s);
  if (values) below(values, `${path}.additionalProperties`);
  const found = s['x-kubernetes-list-type'] === 'map';
  if (s.items) below(s.items, `${path}.items`, found ? place.uncorrelated : place.uncorrelated || path);
};

const costText = (what: string, cost: number, limit: number): string => {
  const by = cost / limit;
  const factor = by > 100 ? 'more than 100x' : `${by < 1.5 ? by.toFixed(6) : by.toFixed(1)}x`;
  const hint =
    'try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared';
  return `${what} exceeds budget by factor of ${factor} (${hint})`;
};

const observe = (tally: CostTally, path: string, cost: number): void => {
  tally.total += cost;
  if (cost < TOTAL_LIMIT / 100) return;
  tally.expensive.push({ path, cost });
  tally.expensive.sort((a, b) => b.cost - a.cost);
  tally.expensive.length = Math.min(tally.expensive.length, EXPENSIVE_MAX);
};

/** A rule as upstream shows it: by the names of its own type, with what is absent. */
const shownRule = ({ rule, message, messageExpression, reason, fieldPath, optionalOldSelf }: ValidationRule) => ({
  Rule: rule,
  Message: message ?? '',
  MessageExpression: messageExpression ?? '',
  Reason: reason ?? null,
  FieldPath: fieldPath ?? '',
  OptionalOldSelf: optionalOldSelf ?? null,
});

const checkMessage = (out: Cause[], one: RuleProgram, tally: CostTally, unchanged: boolean, at: string): void => {
  const path = `${at}.messageExpression`;
  if (one.messageFault !== undefined) out.push(cause.invalid(path, shownRule(one.rule), one.messageFault));
  else if (one.message) {
    if (!unchanged && one.messageCost > ESTIMATE_LIMIT)
      out.push(cause.forbidden(path, costText('estimated messageExpression cost', one.messageCost, ESTIMATE_LIMIT)));
    observe(tally, path, one.messageCost);
  }
};

const checkOldSelf = (out: Cause[], one: RuleProgram, place: Place, at: string): void => {
  const { rule, optionalOldSelf } = one.rule;
  if (one.usesOldSelf && place.uncorrelated !== '') {
    const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelated}`;
    out.push(cause.invalid(`${at}.rule`, rule, why));
  } else if (!one.usesOldSelf && optionalOldSelf !== undefined)
    out.push(cause.invalid(`${at}.optionalOldSelf`, optionalOldSelf, 'may not be set if oldSelf is not used in rule'));
};

/** Contexts of all schemas of a definition; `unchanged` ones may go on to cost too much. */
export const createRuleContexts = (root: Structural, path: string, unchanged: boolean): RuleContexts => {
  const places = new Map<Structural, Place>();
  placeAll(places, root, { often: 1, uncorrelated: '', isResource: true }, path);
  const tally: CostTally = { total: 0, expensive: [] };
  const check = (schema: Structural, where: string): Cause[] => {
    const place = places.get(schema);
    const declaration = place && declarationOf(schema, place.isResource);
    if (!place) return [];
    if (!declaration) {
      const text = 'internal error: failed to construct type information for x-kubernetes-validations rules';
      return [{ reason: 'InternalError', field: `${where}.${RULES}`, message: `Internal error: ${text}` }];
    }
    const out: Cause[] = [];
    compileRules(schema, declaration).forEach((one, i) => {
      const at = `${where}.${RULES}[${i}]`;
      const cost = one.cost * (place.often ?? mostOften(declaration));
      if (!unchanged && cost > ESTIMATE_LIMIT)
        out.push(cause.forbidden(`${at}.rule`, costText('estimated rule cost', cost, ESTIMATE_LIMIT)));
      observe(tally, `${at}.rule`, cost);
      if (one.fault !== undefined) out.push(cause.invalid(`${at}.rule`, shownRule(one.rule), one.fault));
      checkMessage(out, one, tally, unchanged, at);
      checkOldSelf(out, one, place, at);
    });
    return out;
  };
  return { tally, check };
};

/** Told where all rules together could cost too much, with the rules that weigh most. */
export const totalCostCauses = (tally: CostTally, path: string): Cause[] => {
  if (tally.total <= TOTAL_LIMIT) return [];
  const why = 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema';
  const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema';
  return [
    ...tally.expensive.map((one) => cause.forbidden(one.path, why)),
    cause.forbidden(path, costText(what, tally.total, TOTAL_LIMIT)),
  ];
};
