import type { Authorizer, Decision, Rules } from '../../authz/authorizer.ts';
import type { AccessPoliciesOptions } from './access-policies.ts';

const noOpinion: Decision = { allowed: false, reason: '' };
const noRules: Rules = { rules: [] };

/**
 * The policies of access entries (AmazonEKSViewPolicy...), which allow without any RBAC; it stands after RBAC. Users that
 * come from elsewhere cost one look at their `extra`.
 */
export const awsPolicies = (options: AccessPoliciesOptions): Authorizer => {
  let loaded: Promise<Authorizer> | undefined;
  const load = () => {
    loaded ??= import('./access-policies.ts').then(({ createAccessPolicies }) => createAccessPolicies(options));
    return loaded;
  };
  return {
    authorize: (attributes) =>
      attributes.user.extra.canonicalArn ? load().then((policies) => policies.authorize(attributes)) : noOpinion,
    rulesFor: async (cluster, user, namespace) =>
      user.extra.canonicalArn ? (await load()).rulesFor(cluster, user, namespace) : noRules,
  };
};
