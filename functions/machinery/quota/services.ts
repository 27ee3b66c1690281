import type { Service } from '../kinds.d.ts';
import type { Amounts } from './amounts.ts';
import type { QuotaEvaluator } from './evaluator.ts';

const names = new Set(['count/services', 'services', 'services.nodeports', 'services.loadbalancers']);

/** Node ports are counted by what the service asks for: they may not have been given out yet. */
const nodePorts = ({ spec }: Service): number => {
  const ports = spec?.ports ?? [];
  if (spec?.type === 'NodePort') return ports.length;
  if (spec?.type !== 'LoadBalancer') return 0;
  return spec.allocateLoadBalancerNodePorts === false ? ports.filter((port) => port.nodePort).length : ports.length;
};

const serviceUsage = (service: Service): Amounts => ({
  'count/services': '1',
  services: '1',
  'services.loadbalancers': service.spec?.type === 'LoadBalancer' ? '1' : '0',
  'services.nodeports': String(nodePorts(service)),
});

const opened = ({ spec }: Service): string =>
  spec?.type === 'NodePort' || spec?.type === 'LoadBalancer' ? spec.type : '';

/** How services count against quotas. */
export const serviceQuota: QuotaEvaluator = {
  measures: (limit) => names.has(limit),
  usage: (object) => serviceUsage(object as Service),
  handles: ({ subresource }) => subresource === '',
  replenishes: (next, old) =>
    opened(next as Service) !== opened(old as Service) || nodePorts(next as Service) < nodePorts(old as Service),
};
