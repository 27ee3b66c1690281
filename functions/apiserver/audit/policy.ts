import * as z from 'zod';
import { dns1123Subdomain } from '../../machinery/names.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import { type Attributes, requestedName } from '../authz/authorizer.ts';
import { type Level, levels, type Stage, stages } from './event.ts';

/** What a policy says of one request. */
export interface Verdict {
  level: Level;
  omitStages: ReadonlySet<Stage>;
  omitManagedFields: boolean;
}

/** Who asks for what; nobody where the caller could not be authenticated. */
export type AuditedAttributes = Omit<Attributes, 'user'> & { user?: Attributes['user'] | undefined };

/** An audit.k8s.io/v1 Policy, ready to be asked. */
export interface AuditPolicy {
  /** The verdict of the first rule that matches; None where none does. */
  verdict(attributes: AuditedAttributes): Verdict;
}

const strings = z.array(z.string()).nullish();
const groupResources = z.object({ group: z.string().nullish(), resources: strings, resourceNames: strings });
const rule = z.object({
  level: z.string().nullish(),
  users: strings,
  userGroups: strings,
  verbs: strings,
  resources: z.array(groupResources).nullish(),
  namespaces: strings,
  nonResourceURLs: strings,
  omitStages: strings,
  omitManagedFields: z.boolean().nullish(),
});
const document = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  rules: z.array(rule).nullish(),
  omitStages: strings,
  omitManagedFields: z.boolean().nullish(),
});
type GivenRule = z.infer<typeof rule>;
type GivenResources = z.infer<typeof groupResources>;

const stageCauses = (given: readonly string[], path: string): Cause[] =>
  given.flatMap((one, i) =>
    (stages as readonly string[]).includes(one)
      ? []
      : [cause.invalid(`${path}[${i}]`, one, `allowed stages are ${stages.join(',')}`)],
  );

const urlCauses = (urls: readonly string[], path: string): Cause[] =>
  urls.flatMap((url, i) => {
    const out: Cause[] = [];
    const at = `${path}[${i}]`;
    if (url === '*') return out;
    if (!url.startsWith('/'))
      out.push(cause.invalid(at, url, "non-resource URL rules must begin with a '/' character"));
    if (url.slice(0, -1).includes('*'))
      out.push(cause.invalid(at, url, "non-resource URL wildcards '*' must be the final character of the rule"));
    return out;
  });

const resourceCauses = (given: readonly GivenResources[], path: string): Cause[] =>
  given.flatMap(({ group, resources, resourceNames }) => {
    const out: Cause[] = [];
    const faults = group && group !== '*' ? dns1123Subdomain(group) : [];
    if (faults.length > 0) out.push(cause.invalid(`${path}.group`, group, faults.join(',')));
    if (resourceNames?.length && !resources?.length)
      out.push(
        cause.invalid(`${path}.resourceNames`, resourceNames, 'using resourceNames requires at least one resource'),
      );
    return out;
  });

const ruleCauses = (given: GivenRule, path: string): Cause[] => {
  const out: Cause[] = [];
  if (!given.level) out.push(cause.required(`${path}.level`));
  else if (!(levels as readonly string[]).includes(given.level))
    out.push(cause.notSupported(`${path}.level`, given.level, levels));
  const urls = given.nonResourceURLs ?? [];
  out.push(...urlCauses(urls, `${path}.nonResourceURLs`));
  out.push(...resourceCauses(given.resources ?? [], `${path}.resources`));
  out.push(...stageCauses(given.omitStages ?? [], `${path}.omitStages`));
  if (urls.length > 0 && (given.resources?.length || given.namespaces?.length)) {
    const text = 'rules cannot apply to both regular resources and non-resource URLs';
    out.push(cause.invalid(`${path}.nonResourceURLs`, urls, text));
  }
  return out;
};

type Test = (attributes: AuditedAttributes) => boolean;

const setOf = (given: readonly string[] | null | undefined): ReadonlySet<string> | undefined =>
  given?.length ? new Set(given) : undefined;

/** Matches what a request names: a resource, one with its subresource, or either with a star in place of the other. */
const resourceTest = (entry: string): Test => {
  if (entry === '*') return () => true;
  const any = entry.startsWith('*/') ? entry.slice(2) : undefined;
  const all = entry.endsWith('/*') ? entry.slice(0, -2) : undefined;
  return ({ resource, subresource }) =>
    entry === (subresource ? `${resource}/${subresource}` : resource) ||
    (any !== undefined && subresource !== '' && subresource === any) ||
    (all !== undefined && resource === all);
};

const groupTest = ({ group, resources, resourceNames }: GivenResources): Test => {
  const tests = (resources ?? []).map(resourceTest);
  const names = setOf(resourceNames);
  return (a) => {
    if (group !== '*' && (group ?? '') !== a.group) return false;
    if (tests.length === 0) return true;
    if (names && !names.has(requestedName(a as Attributes))) return false;
    return tests.some((test) => test(a));
  };
};

const urlTest = (spec: string): ((path: string) => boolean) => {
  if (spec === '*') return () => true;
  const prefix = spec.endsWith('*') ? spec.replace(/\*+$/, '') : undefined;
  return (path) => path === spec || (prefix !== undefined && path.startsWith(prefix));
};

const ruleTest = (given: GivenRule): Test => {
  const [users, groups, verbs] = [setOf(given.users), setOf(given.userGroups), setOf(given.verbs)];
  const namespaces = setOf(given.namespaces);
  const resources = (given.resources ?? []).map(groupTest);
  const urls = (given.nonResourceURLs ?? []).map(urlTest);
  return (a) => {
    if (users && !(a.user && users.has(a.user.username))) return false;
    if (groups && !a.user?.groups.some((group) => groups.has(group))) return false;
    if (verbs && !verbs.has(a.verb)) return false;
    if (namespaces || resources.length > 0) {
      if (!a.isResource || (namespaces && !namespaces.has(a.namespace))) return false;
      return resources.length === 0 || resources.some((test) => test(a));
    }
    if (urls.length > 0) return !a.isResource && urls.some((test) => test(a.path));
    return true;
  };
};

const compile = (given: z.infer<typeof document>): AuditPolicy => {
  const verdictOf = (one: Partial<GivenRule>, level: Level): Verdict => ({
    level,
    omitStages: new Set([...(given.omitStages ?? []), ...(one.omitStages ?? [])] as Stage[]),
    omitManagedFields: one.omitManagedFields ?? given.omitManagedFields ?? false,
  });
  const rules = (given.rules ?? []).map((one) => ({
    test: ruleTest(one),
    verdict: verdictOf(one, one.level as Level),
  }));
  const otherwise = verdictOf({}, 'None');
  return {
    verdict: (attributes) => {
      for (const { test, verdict } of rules) if (test(attributes)) return verdict;
      return otherwise;
    },
  };
};

const pathText = (path: readonly PropertyKey[]): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`)).join('');

/** Zod's faults in one line: `rules[0].verbs: expected array`. */
export const faultsOf = (error: z.ZodError): string =>
  error.issues.map(({ path, message }) => `${pathText(path)}: ${message}`).join(', ');

/**
 * Reads an audit.k8s.io/v1 Policy. Throws an Error that names the fields; the rules are those of upstream's validation.
 * Unknown fields are passed over, as upstream does in the end.
 */
export const parseAuditPolicy = (given: unknown): AuditPolicy => {
  const read = document.safeParse(given);
  if (!read.success) throw new Error(`failed decoding: ${faultsOf(read.error)}`);
  const policy = read.data;
  if (policy.apiVersion !== 'audit.k8s.io/v1')
    throw new Error(`no kind "Policy" is registered for version ${JSON.stringify(policy.apiVersion)}`);
  const causes = [
    ...stageCauses(policy.omitStages ?? [], 'omitStages'),
    ...(policy.rules ?? []).flatMap((one, i) => ruleCauses(one, `rules[${i}]`)),
  ];
  const texts = causes.map(({ field, message }) => `${field}: ${message}`);
  if (texts.length === 1) throw new Error(texts[0]);
  if (texts.length > 1) throw new Error(`[${texts.join(', ')}]`);
  if (!policy.rules?.length) throw new Error('loaded illegal policy with 0 rules');
  return compile(policy);
};
