import type { UserInfo } from '../registry.ts';
import type { Attributes, Authorizer, Decision } from './authorizer.ts';
import { nodeRules } from './bootstrap-roles.ts';
import type { NodeReferences } from './node-references.ts';
import { askedOf, compileRule, ruleAllows } from './rbac-rules.ts';
import { isBoundTo, requestedName } from './selectors.ts';

const PREFIX = 'system:node:';

const isNode = (user: UserInfo): boolean => user.username.startsWith(PREFIX) && user.groups.includes('system:nodes');

/** The node whose agent a user is: `system:node:{name}` in the group `system:nodes`; '' for everyone else. */
export const nodeNameOf = (user: UserInfo): string => (isNode(user) ? user.username.slice(PREFIX.length) : '');

/** Who asks, and about what. Rules give true, or the reason why not. */
interface Asking {
  a: Attributes;
  node: string;
  /** With the name that a list or watch is bounded to. */
  name: string;
  references: NodeReferences;
}
type Rule = (asking: Asking) => true | string | Promise<true | string>;

const reads = new Set(['get', 'list', 'watch']);
const changes = new Set(['update', 'patch']);
const allButLists = new Set(['get', 'create', 'update', 'patch', 'delete']);

const unrelated = (node: string): string => `no relationship found between node '${node}' and this object`;

const related = async ({ a, node, name, references }: Asking): Promise<true | string> => {
  if (name === '') return 'No Object name found';
  const found = await references.isReferenced(a.cluster, node, a.resource, a.namespace, name);
  return found || unrelated(node);
};

const getRelated: Rule = (asking) => {
  const { verb, subresource } = asking.a;
  if (verb !== 'get') return 'can only get individual resources of this type';
  return subresource ? 'cannot get subresource' : related(asking);
};

const readRelated: Rule = (asking) => {
  const { verb, subresource, namespace } = asking.a;
  if (!reads.has(verb)) return 'can only read resources of this type';
  if (subresource) return 'cannot read subresource';
  return namespace ? related(asking) : 'can only read namespaced object of this type';
};

const claim: Rule = (asking) => {
  if (asking.a.subresource !== 'status') return getRelated(asking);
  return changes.has(asking.a.verb) ? related(asking) : 'can only get/update/patch this type';
};

/** A VolumeAttachment or ResourceSlice of the node. */
const named =
  (resource: 'volumeattachments' | 'resourceslices') =>
  async ({ a, node, name, references }: Asking): Promise<true | string> => {
    if (name === '') return 'No Object name found';
    return (await references.isOfNode(a.cluster, node, resource, name)) || unrelated(node);
  };
const ownAttachment = named('volumeattachments');
const ownSlice = named('resourceslices');

const attachment: Rule = (asking) => {
  const { verb, subresource } = asking.a;
  if (verb !== 'get') return 'can only get individual resources of this type';
  return subresource ? 'cannot get subresource' : ownAttachment(asking);
};

const slice: Rule = (asking) => {
  const { a, node } = asking;
  if (a.subresource) return 'cannot authorize ResourceSlice subresources';
  if (a.verb === 'create') return true;
  if (allButLists.has(a.verb)) return ownSlice(asking);
  if (!['watch', 'list', 'deletecollection'].includes(a.verb))
    return 'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection';
  const scoped = isBoundTo(a, 'spec.nodeName', node);
  return scoped || 'can only list/watch/deletecollection resourceslices with nodeName field selector';
};

const account: Rule = (asking) => {
  const { verb, subresource } = asking.a;
  if (verb === 'get' && subresource === '') return readRelated(asking);
  if (verb !== 'create' || asking.name === '') return 'can only create tokens for individual service accounts';
  if (subresource !== 'token') return 'can only create token subresource of serviceaccount';
  return related(asking);
};

const lease: Rule = ({ a, node, name }) => {
  if (!allButLists.has(a.verb)) return 'can only get, create, update, patch, or delete a node lease';
  if (a.namespace !== 'kube-node-lease') return 'can only access leases in the "kube-node-lease" system namespace';
  if (a.verb !== 'create' && name !== node)
    return 'can only access node lease with the same name as the requesting node';
  return true;
};

const csiNode: Rule = ({ a, node, name }) => {
  if (!allButLists.has(a.verb)) return 'can only get, create, update, patch, or delete a CSINode';
  if (a.subresource) return 'cannot authorize CSINode subresources';
  if (a.verb !== 'create' && name !== node) return 'can only access CSINode with the same name as the requesting node';
  return true;
};

/** What a node changes of nodes and pods is bounded by the admission plugin NodeRestriction, which sees the objects. */
const nodes: Rule = ({ a, node, name }) => {
  if (a.subresource === 'status' && changes.has(a.verb)) return true;
  if (a.subresource) return '';
  if (a.verb === 'create' || changes.has(a.verb)) return true;
  if (!reads.has(a.verb)) return '';
  if (name === node) return true;
  return name === ''
    ? `node '${node}' cannot read all nodes, only its own Node object`
    : `node '${node}' cannot read '${name}', only its own Node object`;
};

const ownPod = async ({ a, node, name, references }: Asking): Promise<true | string> =>
  (await references.isOnNode(a.cluster, node, a.namespace, name)) || unrelated(node);

const pods: Rule = (asking) => {
  const { a, node, name } = asking;
  if (a.subresource === 'status') return changes.has(a.verb) || '';
  if (a.subresource === 'eviction') return a.verb === 'create' || '';
  if (a.subresource) return '';
  if (a.verb === 'create' || a.verb === 'delete') return true;
  if (!reads.has(a.verb)) return '';
  if (a.verb !== 'get' && isBoundTo(a, 'spec.nodeName', node)) return true;
  if (name !== '') return ownPod(asking);
  return a.verb === 'get' ? 'No Object name found' : 'can only list/watch pods with spec.nodeName field selector';
};

/** An agent forwards services to their endpoints as well, which is kube-proxy's part in a cluster of kubelets. */
const endpointSlices: Rule = ({ a }) => (reads.has(a.verb) && a.subresource === '') || '';

/** By `group/resource`; what is not here is judged by the rules of the role system:node. */
const rules: Readonly<Record<string, Rule>> = {
  '/secrets': readRelated,
  '/configmaps': readRelated,
  '/persistentvolumeclaims': claim,
  '/persistentvolumes': getRelated,
  '/serviceaccounts': account,
  '/nodes': nodes,
  '/pods': pods,
  'resource.k8s.io/resourceclaims': getRelated,
  'resource.k8s.io/resourceslices': slice,
  'storage.k8s.io/volumeattachments': attachment,
  'storage.k8s.io/csinodes': csiNode,
  'coordination.k8s.io/leases': lease,
  'discovery.k8s.io/endpointslices': endpointSlices,
};

const compiled = nodeRules.map(compileRule);

const byRole: Rule = ({ a }) => {
  const asked = askedOf(a);
  return compiled.some((rule) => ruleAllows(rule, asked)) || '';
};

/** The node's own tunnel. The tunnel server checks which node a `/skiff/v1/tunnels/{id}` is for. */
const tunnel: Rule = ({ a: { verb, path }, node }) => {
  if (verb !== 'get') return '';
  if (path === `/skiff/v1/nodes/${encodeURIComponent(node)}/tunnel` || path === `/skiff/v1/nodes/${node}/tunnel`)
    return true;
  return path.startsWith('/skiff/v1/tunnels/') || '';
};

const noOpinion: Decision = { allowed: false, reason: '' };

const judged = async (a: Attributes, node: string, references: NodeReferences): Promise<Decision> => {
  const rule = a.isResource ? (rules[`${a.group}/${a.resource}`] ?? byRole) : tunnel;
  const outcome = await rule({ a, node, name: requestedName(a), references });
  return outcome === true ? { allowed: true } : { allowed: false, reason: outcome };
};

/**
 * What the agent of a node may do: serve its own node and the pods bound to it, and read what those pods name
 * (https://kubernetes.io/docs/reference/access-authn-authz/node/). Everyone else passes on to the next authorizer; so
 * does a node's request that no rule here allows.
 */
export const nodeAuthorizer = (references: NodeReferences): Authorizer => ({
  authorize: (a) => {
    if (!isNode(a.user)) return noOpinion;
    const node = nodeNameOf(a.user);
    if (!node) return { allowed: false, reason: `unknown node for user ${JSON.stringify(a.user.username)}` };
    return judged(a, node, references);
  },
  rulesFor: async (_cluster, user) => ({
    rules: [],
    ...(isNode(user) && { incomplete: 'node authorizer does not support user rule resolution' }),
  }),
});
