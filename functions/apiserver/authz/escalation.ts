import { isDeepStrictEqual } from 'node:util';
import type { ClusterRole, PolicyRule, RoleBinding } from '../../machinery/kinds.d.ts';
import { forbidden, notFound } from '../../machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/admission.ts';
import { uncoveredRules } from './rbac-rules.ts';

const GROUP = 'rbac.authorization.k8s.io';
const EVERYTHING: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

const mayDo = async ({ call }: AdmissionRequest, verb: string, resource: string, namespace: string, name: string) => {
  const { server, info, user } = call;
  const attributes = {
    ...info,
    verb,
    resource,
    subresource: '',
    namespace,
    name,
    group: GROUP,
    user,
    isResource: true,
  };
  return (await server.authorizer.authorize(attributes)).allowed;
};

const refuseUncovered = async (request: AdmissionRequest, wanted: readonly PolicyRule[]): Promise<void> => {
  const { call } = request;
  const { info, user, server } = call;
  const held = await server.authorizer.rulesFor(info.cluster, user, info.namespace);
  const uncovered = uncoveredRules(held.rules, wanted);
  if (uncovered.length === 0) return;
  const text = uncovered.map((rule) => JSON.stringify(rule)).join('\n');
  throw forbidden(
    { group: GROUP, kind: info.resource, name: request.object?.metadata.name ?? '' },
    `user ${JSON.stringify(user.username)} (groups=${JSON.stringify(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${text}`,
  );
};

/** Whoever writes a role holds its rights, or may `escalate`; one that gathers others' rules takes all rights. */
const checkRole = async (request: AdmissionRequest): Promise<void> => {
  const { info } = request.call;
  const role = request.object as ClusterRole;
  const old = request.old as ClusterRole | undefined;
  const same = isDeepStrictEqual(old?.rules ?? [], role.rules ?? []);
  if (old && same && isDeepStrictEqual(old.aggregationRule, role.aggregationRule)) return;
  if (await mayDo(request, 'escalate', info.resource, info.namespace, role.metadata?.name ?? '')) return;
  await refuseUncovered(request, (role.rules as PolicyRule[] | undefined) ?? []);
  if (role.aggregationRule) await refuseUncovered(request, EVERYTHING);
};

/** The rules of a role as stored. Throws a 404 Status for one that is not there. */
const rulesOfRole = async ({ call }: AdmissionRequest, resource: string, namespace: string, name: string) => {
  const replica = await call.server.replicas.of({ cluster: call.info.cluster, group: GROUP, resource });
  await replica.fresh();
  const stored = replica.get(namespace ? `${namespace}/${name}` : name);
  if (!stored) throw notFound({ group: GROUP, kind: call.info.resource, name });
  return (JSON.parse(Buffer.from(stored.bytes).toString()) as ClusterRole).rules ?? [];
};

/** Whoever binds a role holds its rights, or may `bind` it. */
const checkBinding = async (request: AdmissionRequest): Promise<void> => {
  const { info } = request.call;
  const { roleRef, subjects } = request.object as unknown as RoleBinding;
  const old = request.old as unknown as RoleBinding | undefined;
  if (old && isDeepStrictEqual([old.roleRef, old.subjects], [roleRef, subjects])) return;
  const resource = roleRef.kind === 'Role' ? 'roles' : 'clusterroles';
  const namespace = roleRef.kind === 'Role' ? info.namespace : '';
  if (await mayDo(request, 'bind', resource, info.namespace, roleRef.name)) return;
  await refuseUncovered(request, (await rulesOfRole(request, resource, namespace, roleRef.name)) as PolicyRule[]);
};

/**
 * Keeps users from giving rights that they do not have
 * (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping).
 * It has to see what is stored, so it stands after every plugin that changes objects.
 */
export const rbacEscalation: AdmissionPlugin = {
  name: 'rbac-escalation',
  about: ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'].map((resource) => `${GROUP}/${resource}`),
  admit: async (request) => {
    const { user, info } = request.call;
    if (!request.object || request.operation === 'DELETE' || user.groups.includes('system:masters')) return;
    await (info.resource.endsWith('bindings') ? checkBinding(request) : checkRole(request));
  },
};
