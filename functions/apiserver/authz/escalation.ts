import { isDeepStrictEqual } from 'node:util';
import type { ClusterRole, PolicyRule, RoleBinding } from '../../machinery/kinds.d.ts';
import { forbidden, notFound } from '../../machinery/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission/admission.ts';
import { quotedList, rulesText, uncoveredRules } from './rbac-cover.ts';

const GROUP = 'rbac.authorization.k8s.io';
const EVERYTHING: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

const mayDo = async ({ call }: AdmissionRequest, verb: string, resource: string, name: string): Promise<boolean> => {
  const { server, info, user } = call;
  const decision = await server.authorizer.authorize({
    cluster: info.cluster,
    user,
    verb,
    isResource: true,
    group: GROUP,
    version: '*',
    resource,
    subresource: '',
    namespace: info.namespace,
    name,
    path: '',
  });
  return decision.allowed;
};

/** Why a user may not hand on these rights; undefined where they hold all of them. */
const uncovered = async ({ call }: AdmissionRequest, wanted: readonly PolicyRule[]): Promise<string | undefined> => {
  const { info, user, server } = call;
  const held = await server.authorizer.rulesFor(info.cluster, user, info.namespace);
  const missing = uncoveredRules(held.rules, wanted);
  if (missing.length === 0) return undefined;
  const who = `user ${JSON.stringify(user.username)} (groups=${quotedList(user.groups)})`;
  const unresolved = held.fault === undefined ? '' : `; resolution errors: [${held.fault}]`;
  return `${who} is attempting to grant RBAC permissions not currently held:\n${rulesText(missing)}${unresolved}`;
};

const refused = ({ call, object }: AdmissionRequest, why: string) =>
  forbidden({ group: GROUP, kind: call.info.resource, name: object?.metadata.name ?? '' }, why);

/** What the garbage collector changes of an object it is about to delete, and what every write changes. */
const withoutUpkeep = ({ metadata, ...rest }: NonNullable<AdmissionRequest['object']>) => {
  const { ownerReferences: _o, finalizers: _f, managedFields: _m, resourceVersion: _r, ...kept } = metadata;
  return { ...rest, metadata: kept };
};
const isUpkeep = ({ object, old }: AdmissionRequest): boolean =>
  object !== undefined && old !== undefined && isDeepStrictEqual(withoutUpkeep(object), withoutUpkeep(old));

const gathers = (role: ClusterRole | undefined): boolean =>
  (role?.aggregationRule?.clusterRoleSelectors?.length ?? 0) > 0;

/** Whoever writes a role holds its rights, or may `escalate`; one that gathers others' rules takes all rights. */
const checkRole = async (request: AdmissionRequest): Promise<void> => {
  const { info } = request.call;
  if (await mayDo(request, 'escalate', info.resource, info.name)) return;
  const role = request.object as ClusterRole;
  const why = await uncovered(request, (role.rules as PolicyRule[] | undefined) ?? []);
  if (why !== undefined) throw refused(request, why);
  if (!gathers(role) && !gathers(request.old as ClusterRole | undefined)) return;
  if ((await uncovered(request, EVERYTHING)) !== undefined)
    throw refused(request, 'must have cluster-admin privileges to use the aggregationRule');
};

/** The rules of a role as stored. Throws a 404 Status for one that is not there; as upstream, of the binding's resource. */
const rulesOfRole = async ({ call }: AdmissionRequest, resource: string, namespace: string, name: string) => {
  const replica = await call.server.replicas.of({ cluster: call.info.cluster, group: GROUP, resource });
  await replica.fresh();
  const stored = replica.get(namespace ? `${namespace}/${name}` : name);
  if (!stored) throw notFound({ group: GROUP, kind: call.info.resource, name });
  return ((JSON.parse(Buffer.from(stored.bytes).toString()) as ClusterRole).rules ?? []) as PolicyRule[];
};

/** The resource of the roles that a binding of one kind or the other may name; what else it names, validation refuses. */
const roleResource = ({ roleRef }: RoleBinding, namespace: string): string | undefined => {
  if (roleRef?.kind === 'ClusterRole') return 'clusterroles';
  return roleRef?.kind === 'Role' && namespace ? 'roles' : undefined;
};

/** Whoever writes a binding holds the rights of its role, or may `bind` it. */
const checkBinding = async (request: AdmissionRequest): Promise<void> => {
  const { namespace } = request.call.info;
  const binding = request.object as unknown as RoleBinding;
  const resource = roleResource(binding, namespace);
  if (!resource) return;
  const { name } = binding.roleRef;
  if (await mayDo(request, 'bind', resource, name)) return;
  const rules = await rulesOfRole(request, resource, resource === 'roles' ? namespace : '', name);
  const why = await uncovered(request, rules);
  if (why !== undefined) throw refused(request, why);
};

/**
 * Keeps users from giving rights that they do not have, at every write that changes more than upkeep
 * (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping).
 * It has to see what is stored, so it stands after every plugin that changes objects.
 */
export const rbacEscalation: AdmissionPlugin = {
  name: 'rbac-escalation',
  about: ['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'].map((resource) => `${GROUP}/${resource}`),
  admit: async (request) => {
    const { user, info } = request.call;
    if (!request.object || request.operation === 'DELETE' || user.groups.includes('system:masters')) return;
    if (isUpkeep(request)) return;
    await (info.resource.endsWith('bindings') ? checkBinding(request) : checkRole(request));
  },
};
