import { forbidden, internalError, type StatusError } from '../../machinery/status.ts';
import type { UserInfo } from '../registry.ts';
import { requestedName, type Selectors } from './selectors.ts';

export { requestedName } from './selectors.ts';

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
  /** The request's query: its selectors bound a list. */
  query?: URLSearchParams;
  /** The selectors of a question that is no request, instead of a query's. */
  selectors?: Selectors;
}

/**
 * `denied`: no other authorizer is asked. `fault`: an authorizer could not decide; a request that nobody allows then fails
 * with it, instead of being forbidden.
 */
export type Decision =
  | { allowed: true; reason?: string; fault?: string }
  | { allowed: false; denied?: boolean; reason: string; fault?: string };

/** One PolicyRule as SelfSubjectRulesReview shows it. */
export interface AllowedRule {
  verbs: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

/** What a user may do, as far as it can be told as rules. */
export interface Rules {
  rules: AllowedRule[];
  /** Set where an authorizer cannot tell all of it; the text says why. */
  incomplete?: string;
  /** Roles that are bound and not there. */
  fault?: string;
}

export interface Authorizer {
  /** At once where nothing has to be read or asked. */
  authorize(attributes: Attributes): Decision | Promise<Decision>;
  /** Every rule that holds for a user in a namespace. */
  rulesFor(cluster: string, user: UserInfo, namespace: string): Promise<Rules>;
}

const allowed: Decision = { allowed: true };
const noOpinion: Decision = { allowed: false, reason: '' };
const noRules: Rules = { rules: [] };
const all: Rules = {
  rules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    { verbs: ['*'], nonResourceURLs: ['*'] },
  ],
};

/** system:masters may do everything, before any rule is looked at; the rules that tell so are bound by RBAC. */
export const mastersAuthorizer = (): Authorizer => ({
  authorize: ({ user }) => (user.groups.includes('system:masters') ? allowed : noOpinion),
  rulesFor: async () => noRules,
});

/** Allows everybody everything. */
export const alwaysAllow: Authorizer = { authorize: () => allowed, rulesFor: async () => all };

/** Allows nobody anything; those after it may. */
export const alwaysDeny: Authorizer = {
  authorize: () => ({ allowed: false, reason: 'Everything is forbidden.' }),
  rulesFor: async () => noRules,
};

/** Several faults as upstream writes them. */
export const faultsText = (faults: readonly string[]): string => {
  const different = [...new Set(faults)];
  return different.length === 1 ? (different[0] ?? '') : `[${different.join(', ')}]`;
};

/** Asks in order; the first that allows decides, as does one that denies outright. */
export const unionAuthorizer = (...authorizers: readonly Authorizer[]): Authorizer => ({
  authorize: (attributes) => {
    let reason = '';
    let faults: string[] | undefined;
    const decides = (decision: Decision): boolean => {
      if (decision.allowed || decision.denied) return true;
      if (decision.reason) reason = reason === '' ? decision.reason : `${reason}\n${decision.reason}`;
      if (decision.fault !== undefined) faults = [...(faults ?? []), decision.fault];
      return false;
    };
    const undecided = (): Decision => ({ allowed: false, reason, ...(faults && { fault: faultsText(faults) }) });
    /** Goes on where one of them had to ask. */
    const later = async (asked: Promise<Decision>, next: number): Promise<Decision> => {
      const first = await asked;
      if (decides(first)) return first;
      for (const one of authorizers.slice(next)) {
        const decision = await one.authorize(attributes);
        if (decides(decision)) return decision;
      }
      return undecided();
    };
    for (let i = 0; i < authorizers.length; i++) {
      const decision = authorizers[i]?.authorize(attributes) ?? noOpinion;
      if (decision instanceof Promise) return later(decision, i + 1);
      if (decides(decision)) return decision;
    }
    return undecided();
  },
  rulesFor: async (cluster, user, namespace) => {
    const found = await Promise.all(authorizers.map((one) => one.rulesFor(cluster, user, namespace)));
    const told = (texts: (string | undefined)[]) => texts.filter((text) => text !== undefined);
    const incomplete = told(found.map((one) => one.incomplete));
    const faults = told(found.map((one) => one.fault));
    return {
      rules: found.flatMap(({ rules }) => rules),
      ...(incomplete.length > 0 && { incomplete: faultsText(incomplete) }),
      ...(faults.length > 0 && { fault: faultsText(faults) }),
    };
  },
});

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Nobody's name becomes markup where the answer is shown. */
const describe = (a: Attributes): string => plainText(a).replace(/[&<>]/g, (char) => entities[char] ?? char);

const plainText = (a: Attributes): string => {
  if (!a.isResource) return `User ${JSON.stringify(a.user.username)} cannot ${a.verb} path ${JSON.stringify(a.path)}`;
  const resource = JSON.stringify(a.subresource ? `${a.resource}/${a.subresource}` : a.resource);
  const scope = a.namespace ? `in the namespace ${JSON.stringify(a.namespace)}` : 'at the cluster scope';
  return `User ${JSON.stringify(a.user.username)} cannot ${a.verb} resource ${resource} in API group ${JSON.stringify(a.group)} ${scope}`;
};

/** The text of a refusal, in upstream's words. */
export const refusal = (a: Attributes, reason: string): string => `${describe(a)}${reason ? `: ${reason}` : ''}`;

/** The Status of a request that is not allowed: 403, or 500 where that is because an authorizer could not decide. */
export const refused = (a: Attributes, { reason = '', fault }: Decision): StatusError =>
  fault === undefined
    ? forbidden({ group: a.group, kind: a.resource, name: requestedName(a) }, refusal(a, reason))
    : internalError(`${describe(a)}: ${fault}`);
