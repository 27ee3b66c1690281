import type { UserInfo } from '../registry.ts';
import type { Attributes, Authorizer } from './authorizer.ts';
import type { NodeReferences } from './node-references.ts';
import { isBoundTo, requestedName } from './selectors.ts';

const PREFIX = 'system:node:';

/** The node whose agent a user is: `system:node:{name}` in the group `system:nodes`; '' for everyone else. */
export const nodeNameOf = (user: UserInfo): string =>
  user.username.startsWith(PREFIX) && user.groups.includes('system:nodes') ? user.username.slice(PREFIX.length) : '';

const reads = new Set(['get', 'list', 'watch']);
const changes = new Set(['update', 'patch']);

/** What every node may read of the whole cluster, by `group/resource`. */
const openToNodes = new Set([
  '/services',
  'discovery.k8s.io/endpointslices',
  '/endpoints',
  '/nodes',
  'node.k8s.io/runtimeclasses',
  'storage.k8s.io/csidrivers',
  'storage.k8s.io/csinodes',
]);

/** Reviews that a kubelet asks for, to judge who calls it. */
const reviews = new Set([
  'authentication.k8s.io/tokenreviews',
  'authorization.k8s.io/subjectaccessreviews',
  'authorization.k8s.io/localsubjectaccessreviews',
]);

/** Read only through a pod of the node that names it. */
const referenced = new Set(['secrets', 'configmaps', 'persistentvolumeclaims', 'persistentvolumes']);

type Rule = (a: Attributes, node: string, references: NodeReferences) => boolean | Promise<boolean>;

const ownNode: Rule = ({ verb, subresource, name }, node) => {
  if (verb === 'create') return subresource === '';
  return changes.has(verb) && name === node && (subresource === '' || subresource === 'status');
};

const ownLease: Rule = ({ verb, namespace, name, subresource }, node) => {
  if (namespace !== 'kube-node-lease' || subresource) return false;
  if (verb === 'create') return true;
  return name === node && (verb === 'get' || verb === 'delete' || changes.has(verb));
};

const ownPods: Rule = async (a, node, references) => {
  const { verb, subresource, namespace, name, cluster } = a;
  const bySelector = isBoundTo(a, 'spec.nodeName', node);
  if (subresource === '') {
    if (verb === 'list' || (verb === 'watch' && !name)) return bySelector;
    if (verb === 'get' || verb === 'watch') return references.isOnNode(cluster, node, namespace, name);
    if (verb === 'delete') return references.isOnNode(cluster, node, namespace, name);
    return false;
  }
  if (subresource === 'status')
    return (verb === 'get' || changes.has(verb)) && references.isOnNode(cluster, node, namespace, name);
  if (subresource === 'eviction') return verb === 'create' && references.isOnNode(cluster, node, namespace, name);
  return false;
};

const referencedObject: Rule = (a, node, references) => {
  const { cluster, resource, verb, namespace, subresource } = a;
  if (subresource) {
    const ownStatus =
      resource === 'persistentvolumeclaims' && subresource === 'status' && (verb === 'get' || changes.has(verb));
    return ownStatus && references.isReferenced(cluster, node, resource, namespace, a.name);
  }
  const name = requestedName(a);
  return reads.has(verb) && name !== '' && references.isReferenced(cluster, node, resource, namespace, name);
};

const accountToken: Rule = ({ cluster, verb, subresource, namespace, name }, node, references) => {
  if (subresource === 'token')
    return verb === 'create' && references.isReferenced(cluster, node, 'serviceaccounts', namespace, name);
  return (
    subresource === '' && verb === 'get' && references.isReferenced(cluster, node, 'serviceaccounts', namespace, name)
  );
};

const ownCsiNode: Rule = ({ verb, subresource, name }, node) => {
  if (subresource) return false;
  if (verb === 'create') return true;
  return name === node && (verb === 'delete' || changes.has(verb));
};

const signingRequest: Rule = ({ verb, subresource }) => subresource === '' && (verb === 'create' || reads.has(verb));
const ownEvent: Rule = ({ verb, subresource }) => subresource === '' && (verb === 'create' || changes.has(verb));

/** By `group/resource`. */
const rules: Record<string, Rule> = {
  '/nodes': ownNode,
  '/pods': ownPods,
  '/serviceaccounts': accountToken,
  '/events': ownEvent,
  'events.k8s.io/events': ownEvent,
  'coordination.k8s.io/leases': ownLease,
  'storage.k8s.io/csinodes': ownCsiNode,
  'certificates.k8s.io/certificatesigningrequests': signingRequest,
};

/** Discovery, health, and the node's own tunnel. The tunnel server checks which node a `/skiff/v1/tunnels/{id}` is for. */
const pathAllowed = ({ verb, path }: Attributes, node: string): boolean => {
  if (verb !== 'get') return false;
  if (path === `/skiff/v1/nodes/${encodeURIComponent(node)}/tunnel` || path === `/skiff/v1/nodes/${node}/tunnel`)
    return true;
  return path.startsWith('/skiff/v1/tunnels/');
};

const isAllowed = (a: Attributes, node: string, references: NodeReferences): boolean | Promise<boolean> => {
  if (!a.isResource) return pathAllowed(a, node);
  const resource = `${a.group}/${a.resource}`;
  if (reads.has(a.verb) && a.subresource === '' && openToNodes.has(resource)) return true;
  if (reviews.has(resource)) return a.verb === 'create' && a.subresource === '';
  if (a.group === '' && referenced.has(a.resource)) return referencedObject(a, node, references);
  return rules[resource]?.(a, node, references) ?? false;
};

/**
 * What the agent of a node may do: serve its own node and the pods bound to it, and read what those pods name
 * (https://kubernetes.io/docs/reference/access-authn-authz/node/). Everyone else passes on to the next authorizer; so
 * does a node's request that no rule here allows, since RBAC gives nodes nothing but discovery.
 */
export const nodeAuthorizer = (references: NodeReferences): Authorizer => ({
  authorize: async (attributes) => {
    const node = nodeNameOf(attributes.user);
    if (!node) return { allowed: false, reason: '' };
    if (await isAllowed(attributes, node, references)) return { allowed: true };
    return { allowed: false, reason: `no relationship found between node '${node}' and this object` };
  },
  rulesFor: async () => ({ rules: [] }),
});
