import type { ServiceSpec } from '../../machinery/kinds.d.ts';

export const isHeadless = (spec: ServiceSpec): boolean =>
  spec.clusterIPs?.length === 1 ? spec.clusterIPs[0] === 'None' : !spec.clusterIPs?.length && spec.clusterIP === 'None';

/** Every type but ExternalName has a cluster IP, unless it is headless. */
export const needsClusterIP = (spec: ServiceSpec): boolean =>
  ['ClusterIP', 'NodePort', 'LoadBalancer'].includes(spec.type ?? 'ClusterIP') && !isHeadless(spec);

/** Node ports may be asked for, whether or not the service gets any by itself. */
export const hasNodePorts = (spec: ServiceSpec): boolean => spec.type === 'NodePort' || spec.type === 'LoadBalancer';

export const needsNodePorts = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);

/** A load balancer that keeps to local endpoints is told by a port of its own which nodes have any. */
export const needsHealthPort = (spec: ServiceSpec): boolean =>
  spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

/** Reachable from outside: by node ports, a load balancer, or external IPs. */
export const isExternal = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' ||
  spec.type === 'LoadBalancer' ||
  (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0);
