import type { Stored } from '../../store/store.ts';
import { type Asked, type Rule, ruleAllows } from './rbac-rules.ts';

/** What one binding gives to one subject. */
export interface Grant {
  binding: Stored;
  rules: readonly Rule[];
  /** `RoleBinding "b/ns" of Role "r" to User "u"`. */
  why: string;
  /** The role that does not exist. */
  missing?: string;
}

interface Entry {
  rule: Rule;
  grant: Grant;
}

/** All grants of one subject in one namespace, or in the whole cluster. */
export interface Grants {
  list: Grant[];
  rules: number;
  /** Roles that do not exist. */
  missing: string[];
  /** Rules by what they are about; made by the first question where there are many. */
  table: ReadonlyMap<string, readonly Entry[]> | undefined;
}

/** Up to so many rules are looked through one by one. */
const FEW = 16;

const PATHS = 'paths';
const any: readonly string[] = ['*'];

export const createGrants = (): Grants => ({ list: [], rules: 0, missing: [], table: undefined });

/** Before the first question. */
export const addGrant = (grants: Grants, grant: Grant): void => {
  grants.list.push(grant);
  grants.rules += grant.rules.length;
  if (grant.missing) grants.missing.push(grant.missing);
};

/** A rule stands under each pair of its groups and resources, `*` being one of them. */
const tabled = ({ list }: Grants): ReadonlyMap<string, readonly Entry[]> => {
  const table = new Map<string, Entry[]>();
  const put = (key: string, entry: Entry): void => {
    const known = table.get(key);
    if (known) known.push(entry);
    else table.set(key, [entry]);
  };
  for (const grant of list)
    for (const rule of grant.rules) {
      const entry = { rule, grant };
      if (rule.paths.size > 0 || rule.prefixes.length > 0) put(PATHS, entry);
      for (const group of rule.groups ?? any)
        for (const resource of rule.resources ?? any) put(`${group} ${resource}`, entry);
    }
  return table;
};

const among = (entries: readonly Entry[] | undefined, asked: Asked): Grant | undefined => {
  if (entries) for (const { rule, grant } of entries) if (ruleAllows(rule, asked)) return grant;
  return undefined;
};

/** The first grant that allows it, if one does. */
export const findGrant = (grants: Grants, asked: Asked): Grant | undefined => {
  if (grants.rules <= FEW) {
    for (const grant of grants.list) for (const rule of grant.rules) if (ruleAllows(rule, asked)) return grant;
    return undefined;
  }
  grants.table ??= tabled(grants);
  const { table } = grants;
  if (!asked.isResource) return among(table.get(PATHS), asked);
  const { group, resource, anySubresource } = asked;
  const found =
    among(table.get(`${group} ${resource}`), asked) ??
    among(table.get(`${group} *`), asked) ??
    among(table.get(`* ${resource}`), asked) ??
    among(table.get('* *'), asked);
  if (found || !anySubresource) return found;
  return among(table.get(`${group} ${anySubresource}`), asked) ?? among(table.get(`* ${anySubresource}`), asked);
};
