import type { PolicyRule } from '../../machinery/kinds.d.ts';
import type { AllowedRule, Attributes } from './authorizer.ts';
import { requestedName } from './selectors.ts';

/** A PolicyRule made ready for many checks. An undefined set stands for everything. */
export interface Rule {
  verbs: ReadonlySet<string> | undefined;
  groups: ReadonlySet<string> | undefined;
  /** `pods`, `pods/log`, and `*` + `/scale` for a subresource of every resource. */
  resources: ReadonlySet<string> | undefined;
  /** Empty: every name. */
  names: ReadonlySet<string>;
  /** Exact paths, and prefixes that stand before a `*`. */
  paths: ReadonlySet<string>;
  prefixes: readonly string[];
  shown: AllowedRule;
}

const setOf = (values: readonly string[] | undefined): ReadonlySet<string> | undefined =>
  values?.includes('*') ? undefined : new Set(values);

export const compileRule = (rule: PolicyRule): Rule => {
  const urls = rule.nonResourceURLs ?? [];
  return {
    verbs: setOf(rule.verbs),
    groups: setOf(rule.apiGroups),
    resources: setOf(rule.resources),
    names: new Set(rule.resourceNames),
    paths: new Set(urls.filter((url) => !url.endsWith('*'))),
    prefixes: urls.filter((url) => url.endsWith('*')).map((url) => url.replace(/\*+$/, '')),
    shown: {
      verbs: rule.verbs ?? [],
      ...(rule.apiGroups?.length && { apiGroups: rule.apiGroups }),
      ...(rule.resources?.length && { resources: rule.resources }),
      ...(rule.resourceNames?.length && { resourceNames: rule.resourceNames }),
      ...(urls.length && { nonResourceURLs: urls }),
    },
  };
};

/** What one check compares, worked out once for all rules. */
export interface Asked {
  verb: string;
  isResource: boolean;
  group: string;
  /** `pods` or `pods/log`. */
  resource: string;
  /** `*` + `/log`; '' for the main resource. */
  anySubresource: string;
  name: string;
  path: string;
}

export const askedOf = (a: Attributes): Asked => ({
  verb: a.verb,
  isResource: a.isResource,
  group: a.group,
  resource: a.subresource ? `${a.resource}/${a.subresource}` : a.resource,
  anySubresource: a.subresource ? `*/${a.subresource}` : '',
  name: requestedName(a),
  path: a.path,
});

/** Whether a rule allows it, as rbac/v1 documents PolicyRule. */
export const ruleAllows = (rule: Rule, asked: Asked): boolean => {
  if (rule.verbs && !rule.verbs.has(asked.verb)) return false;
  if (!asked.isResource) {
    return rule.paths.has(asked.path) || rule.prefixes.some((prefix) => asked.path.startsWith(prefix));
  }
  if (rule.groups && !rule.groups.has(asked.group)) return false;
  if (rule.resources && !rule.resources.has(asked.resource)) {
    if (!asked.anySubresource || !rule.resources.has(asked.anySubresource)) return false;
  }
  return rule.names.size === 0 || rule.names.has(asked.name);
};
