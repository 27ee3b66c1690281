import type { FlowSchema } from '../../machinery/kinds.d.ts';
import type { RequestInfo } from '../request-info.ts';

/** What a request is classified by: upstream's request digest. */
export type Classified = Pick<
  RequestInfo,
  'isResource' | 'verb' | 'group' | 'resource' | 'subresource' | 'namespace' | 'path'
>;

export interface Caller {
  username: string;
  groups: readonly string[];
}

type Policy = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];
type ResourceRule = NonNullable<Policy['resourceRules']>[number];
type NonResourceRule = NonNullable<Policy['nonResourceRules']>[number];
type Subject = NonNullable<Policy['subjects']>[number];

/** undefined: every value. */
type Wanted = ReadonlySet<string> | undefined;

interface Resources {
  verbs: Wanted;
  groups: Wanted;
  resources: Wanted;
  namespaces: Wanted;
  clusterScope: boolean;
}

interface Paths {
  verbs: Wanted;
  /** Paths that are named as they are. */
  exact: Wanted;
  /** Each ends in a slash: what is below it counts too. */
  below: readonly string[];
}

interface Rule<S> {
  /** Position in the order of matching. */
  rank: number;
  schema: S;
  resources: readonly Resources[];
  paths: readonly Paths[];
}

/** Rules by whom they are about; each list is in the order of matching. */
interface Index<S> {
  everyone: Rule<S>[];
  users: Map<string, Rule<S>[]>;
  groups: Map<string, Rule<S>[]>;
  /** Every service account of a namespace. */
  serviceAccounts: Map<string, Rule<S>[]>;
}

/** The first schema that a request matches; undefined where none does. About a microsecond, nothing is allocated. */
export type Classifier<S> = (asked: Classified, caller: Caller) => S | undefined;

const ACCOUNT = 'system:serviceaccount:';

/** Lists that are empty may be stored as null. */
type Listed = readonly string[] | null | undefined;

/** A wildcard counts only where it stands alone, as validation has it. */
const wanted = (values: Listed): Wanted =>
  values?.length === 1 && values[0] === '*' ? undefined : new Set(values ?? []);

const compileResources = (rule: ResourceRule): Resources => ({
  verbs: wanted(rule.verbs),
  groups: wanted(rule.apiGroups),
  resources: wanted(rule.resources),
  namespaces: wanted(rule.namespaces),
  clusterScope: rule.clusterScope ?? false,
});

const slashed = (path: string): string => {
  const start = path.endsWith('*') ? path.slice(0, -1) : path;
  return start.endsWith('/') ? start : `${start}/`;
};

const compilePaths = ({ verbs, nonResourceURLs }: NonResourceRule): Paths => {
  const urls = nonResourceURLs ?? [];
  return {
    verbs: wanted(verbs),
    exact: urls.includes('*') ? undefined : new Set(urls),
    below: urls.map(slashed),
  };
};

const has = (set: Wanted, value: string): boolean => set === undefined || set.has(value);

const matchesResources = (rules: readonly Resources[], asked: Classified): boolean => {
  for (const rule of rules) {
    if (!has(rule.verbs, asked.verb) || !has(rule.groups, asked.group)) continue;
    if (rule.resources) {
      const { resource, subresource } = asked;
      if (!rule.resources.has(subresource === '' ? resource : `${resource}/${subresource}`)) continue;
    }
    if (asked.namespace === '' ? rule.clusterScope : has(rule.namespaces, asked.namespace)) return true;
  }
  return false;
};

const matchesPaths = (rules: readonly Paths[], asked: Classified): boolean => {
  for (const rule of rules) {
    if (!has(rule.verbs, asked.verb)) continue;
    if (has(rule.exact, asked.path)) return true;
    for (const start of rule.below) if (asked.path.startsWith(start)) return true;
  }
  return false;
};

const push = <S>(map: Map<string, Rule<S>[]>, key: string, rule: Rule<S>): void => {
  const list = map.get(key);
  if (!list) map.set(key, [rule]);
  else if (list.at(-1) !== rule) list.push(rule);
};

const enter = <S>(index: Index<S>, { kind, user, group, serviceAccount }: Subject, rule: Rule<S>): void => {
  const everyone = (): void => {
    if (index.everyone.at(-1) !== rule) index.everyone.push(rule);
  };
  if (kind === 'User' && user) {
    if (user.name === '*') everyone();
    else push(index.users, user.name, rule);
  } else if (kind === 'Group' && group) {
    if (group.name === '*') everyone();
    else push(index.groups, group.name, rule);
  } else if (kind === 'ServiceAccount' && serviceAccount) {
    const { namespace, name } = serviceAccount;
    if (name === '*') push(index.serviceAccounts, namespace, rule);
    else push(index.users, `${ACCOUNT}${namespace}:${name}`, rule);
  }
};

/** The better of the best so far and the first rule of a list that matches. */
const better = <S>(
  best: Rule<S> | undefined,
  list: readonly Rule<S>[] | undefined,
  asked: Classified,
): Rule<S> | undefined => {
  if (!list) return best;
  for (const rule of list) {
    if (best && rule.rank > best.rank) return best;
    if (asked.isResource ? matchesResources(rule.resources, asked) : matchesPaths(rule.paths, asked)) return rule;
  }
  return best;
};

/**
 * Compiles flow schemas, given in the order of matching, to an index by subject. A schema is found by its first policy
 * rule of which both a subject and a resource or non-resource rule match. Source: KEP-1040.
 */
export const createClassifier = <S>(schemas: readonly { spec: FlowSchema['spec']; schema: S }[]): Classifier<S> => {
  const index: Index<S> = { everyone: [], users: new Map(), groups: new Map(), serviceAccounts: new Map() };
  let rank = 0;
  for (const { spec, schema } of schemas) {
    for (const { subjects, resourceRules, nonResourceRules } of spec?.rules ?? []) {
      const rule: Rule<S> = {
        rank: rank++,
        schema,
        resources: (resourceRules ?? []).map(compileResources),
        paths: (nonResourceRules ?? []).map(compilePaths),
      };
      for (const subject of subjects ?? []) enter(index, subject, rule);
    }
  }
  const { everyone, users, groups, serviceAccounts } = index;
  return (asked, { username, groups: own }) => {
    let best = better(undefined, everyone, asked);
    best = better(best, users.get(username), asked);
    for (const group of own) best = better(best, groups.get(group), asked);
    if (serviceAccounts.size > 0 && username.startsWith(ACCOUNT)) {
      const end = username.indexOf(':', ACCOUNT.length);
      if (end > 0) best = better(best, serviceAccounts.get(username.slice(ACCOUNT.length, end)), asked);
    }
    return best?.schema;
  };
};
