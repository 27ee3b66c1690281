import type { UserInfo } from '../registry.ts';

/** What is to be allowed: a verb on a resource, or on a path outside the API. authorization/v1 SubjectAccessReviewSpec. */
export interface Attributes {
  cluster: string;
  user: UserInfo;
  verb: string;
  isResource: boolean;
  group: string;
  version: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  path: string;
  /** The request's query: a list may be bounded by its fieldSelector. */
  query?: URLSearchParams;
}

/** Reads `field=value` or `field==value` out of a fieldSelector; '' where the selector does not fix that field. */
export const selectedField = (query: URLSearchParams | undefined, field: string): string => {
  for (const term of query?.get('fieldSelector')?.split(',') ?? []) {
    const at = term.indexOf('=');
    if (at < 0 || term.slice(0, at) !== field) continue;
    return term.slice(term[at + 1] === '=' ? at + 2 : at + 1);
  }
  return '';
};

const collections = new Set(['list', 'watch', 'deletecollection']);

/** The name that rules with resourceNames compare; a list by `metadata.name=x` asks for x alone, as upstream has it. */
export const requestedName = (a: Attributes): string =>
  a.name || !collections.has(a.verb) ? a.name : selectedField(a.query, 'metadata.name');

export type Decision = { allowed: true; reason?: string } | { allowed: false; denied?: boolean; reason: string };

/** One PolicyRule as SelfSubjectRulesReview shows it. */
export interface AllowedRule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

export interface Authorizer {
  authorize(attributes: Attributes): Promise<Decision>;
  /** Every rule that holds for a user in a namespace. */
  rulesFor(cluster: string, user: UserInfo, namespace: string): Promise<AllowedRule[]>;
}

const all: AllowedRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/** system:masters may do everything, before any rule is looked at. */
export const mastersAuthorizer = (): Authorizer => ({
  authorize: async ({ user }) =>
    user.groups.includes('system:masters') ? { allowed: true } : { allowed: false, reason: '' },
  rulesFor: async (_cluster, user) => (user.groups.includes('system:masters') ? all : []),
});

/** Asks in order; the first that allows decides, as does one that denies outright. */
export const unionAuthorizer = (...authorizers: Authorizer[]): Authorizer => ({
  authorize: async (attributes) => {
    let reason = '';
    for (const one of authorizers) {
      const decision = await one.authorize(attributes);
      if (decision.allowed || decision.denied) return decision;
      if (decision.reason) reason = decision.reason;
    }
    return { allowed: false, reason };
  },
  rulesFor: async (cluster, user, namespace) => {
    const rules = await Promise.all(authorizers.map((one) => one.rulesFor(cluster, user, namespace)));
    // system:masters may also be bound by RBAC to what it may do anyway.
    return [...new Map(rules.flat().map((rule) => [JSON.stringify(rule), rule])).values()];
  },
});

const describe = (a: Attributes): string => {
  if (!a.isResource) return `User ${JSON.stringify(a.user.username)} cannot ${a.verb} path ${JSON.stringify(a.path)}`;
  const resource = JSON.stringify(a.subresource ? `${a.resource}/${a.subresource}` : a.resource);
  const scope = a.namespace ? `in the namespace ${JSON.stringify(a.namespace)}` : 'at the cluster scope';
  return `User ${JSON.stringify(a.user.username)} cannot ${a.verb} resource ${resource} in API group ${JSON.stringify(a.group)} ${scope}`;
};

/** The text of a refusal, in upstream's words. */
export const refusal = (a: Attributes, reason: string): string => `${describe(a)}${reason ? `: ${reason}` : ''}`;
