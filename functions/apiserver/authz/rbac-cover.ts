import type { PolicyRule } from '../../machinery/kinds.d.ts';
import type { AllowedRule } from './authorizer.ts';

/** Rules as they are stored and as they are shown. */
type AnyRule = Pick<AllowedRule, 'apiGroups' | 'resources' | 'resourceNames' | 'nonResourceURLs'> & {
  verbs?: readonly string[];
};

/**
 * Comparisons of one held rule with one combination of a wanted one, at most. A rule names few of each; one of thousands of
 * verbs, groups, resources and names at once is written to keep a server busy, and counts as not held.
 */
const WORK_MAX = 5_000_000;

const none: string[] = [];

/** Of two sets: the held one has everything, or each that is wanted. */
const within = (held: readonly string[] = none, wanted: readonly string[] = none): boolean =>
  held.includes('*') || wanted.every((one) => held.includes(one));

const resourcesWithin = (held: readonly string[] = none, wanted: readonly string[] = none): boolean =>
  held.includes('*') ||
  wanted.every((one) => {
    if (held.includes(one)) return true;
    const slash = one.indexOf('/');
    return slash >= 0 && held.includes(`*${one.slice(slash)}`);
  });

const urlsWithin = (held: readonly string[] = none, wanted: readonly string[] = none): boolean =>
  wanted.every((one) => held.some((h) => h === one || (h.endsWith('*') && one.startsWith(h.replace(/\*+$/, '')))));

/** No names are all names: they are within no list of them. */
const namesWithin = (held: readonly string[] = none, wanted: readonly string[] = none): boolean =>
  held.length === 0 || (wanted.length > 0 && wanted.every((one) => held.includes(one)));

const coversWhole = (held: AnyRule, wanted: AnyRule): boolean =>
  within(held.verbs, wanted.verbs) &&
  within(held.apiGroups, wanted.apiGroups) &&
  resourcesWithin(held.resources, wanted.resources) &&
  namesWithin(held.resourceNames, wanted.resourceNames) &&
  urlsWithin(held.nonResourceURLs, wanted.nonResourceURLs);

const sizeOf = ({
  verbs = none,
  apiGroups = none,
  resources = none,
  resourceNames = none,
  nonResourceURLs = none,
}: AnyRule) =>
  verbs.length * (apiGroups.length * resources.length * Math.max(1, resourceNames.length) + nonResourceURLs.length);

/** A rule as rules of one verb, resource and name each. */
function* parts({ verbs = [], apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule) {
  const names = resourceNames.length > 0 ? resourceNames.map((name) => ({ resourceNames: [name] })) : [{}];
  for (const group of apiGroups)
    for (const resource of resources)
      for (const verb of verbs)
        for (const name of names) yield { verbs: [verb], apiGroups: [group], resources: [resource], ...name };
  for (const url of nonResourceURLs) for (const verb of verbs) yield { verbs: [verb], nonResourceURLs: [url] };
}

/**
 * What of `wanted` the rules `held` do not grant, in rules of one verb and resource each: what stops a user from writing a
 * role with more rights than their own
 * (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping).
 */
export const uncoveredRules = (held: readonly AnyRule[], wanted: readonly PolicyRule[]): PolicyRule[] => {
  const uncovered: PolicyRule[] = [];
  let work = 0;
  for (const rule of wanted) {
    if (held.some((one) => coversWhole(one, rule))) continue;
    work += sizeOf(rule) * Math.max(1, held.length);
    if (work > WORK_MAX) uncovered.push(rule);
    else for (const part of parts(rule)) if (!held.some((one) => coversWhole(one, part))) uncovered.push(part);
  }
  return uncovered;
};

const isSimple = ({ apiGroups = none, resources = none, resourceNames = none, nonResourceURLs = none }: AnyRule) =>
  apiGroups.length === 1 && resources.length === 1 && resourceNames.length < 2 && nonResourceURLs.length === 0;

/** Rules that differ in their verbs alone, in one. */
const compacted = (rules: readonly PolicyRule[]): PolicyRule[] => {
  const simple = new Map<string, PolicyRule>();
  const others: PolicyRule[] = [];
  for (const rule of rules) {
    const { verbs = [], ...rest } = rule;
    if (!isSimple(rule)) {
      others.push(rule);
      continue;
    }
    const key = JSON.stringify(rest);
    const known = simple.get(key);
    if (known) known.verbs?.push(...verbs);
    else simple.set(key, { ...rest, verbs: [...verbs] });
  }
  return [...others, ...simple.values()];
};

const listText = (list: readonly string[]): string => `[${list.map((one) => JSON.stringify(one)).join(' ')}]`;

const ruleText = ({ apiGroups, resources, nonResourceURLs, resourceNames, verbs }: PolicyRule): string => {
  const shown = Object.entries({
    APIGroups: apiGroups,
    Resources: resources,
    NonResourceURLs: nonResourceURLs,
    ResourceNames: resourceNames,
    Verbs: verbs,
  });
  return `{${shown.flatMap(([name, list]) => (list?.length ? [`${name}:${listText(list)}`] : [])).join(', ')}}`;
};

/** Rights as refusals list them: one line each, in order. */
export const rulesText = (rules: readonly PolicyRule[]): string =>
  [...new Set(compacted(rules).map(ruleText))].sort().join('\n');

/** Texts as Go's %q writes a list of them. */
export const quotedList = listText;
