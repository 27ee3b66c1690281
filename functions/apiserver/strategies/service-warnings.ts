// What a client is told about a service that is accepted: fields that do nothing, addresses that will not be.
import type { Service, ServiceSpec } from '../../machinery/kinds.d.ts';
import { at } from './checks.ts';
import { cidrWarnings, ipWarnings } from './ip-warnings.ts';

const aboutHeadless = (spec: ServiceSpec): string[] => {
  const out: string[] = [];
  const ignored = (field: string) => out.push(`${field} is ignored for headless services`);
  if (spec.loadBalancerIP) ignored('spec.loadBalancerIP');
  if (spec.externalIPs?.length) ignored('spec.externalIPs');
  if (spec.sessionAffinity !== 'None') ignored('spec.SessionAffinity');
  return out;
};

const aboutAddresses = (spec: ServiceSpec): string[] => {
  const out: string[] = [];
  if (spec.type !== 'ExternalName' && spec.clusterIP !== 'None') {
    spec.clusterIPs?.forEach((ip, i) => {
      out.push(...ipWarnings(at('spec.clusterIPs', i), ip));
    });
  }
  const headless = spec.type === 'ClusterIP' && spec.clusterIP === 'None';
  if (headless) out.push(...aboutHeadless(spec));
  spec.externalIPs?.forEach((ip, i) => {
    out.push(...ipWarnings(at('spec.externalIPs', i), ip));
  });
  if (spec.externalIPs?.length && !headless && spec.type !== 'ExternalName')
    out.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters');
  if (spec.loadBalancerIP) out.push(...ipWarnings('spec.loadBalancerIP', spec.loadBalancerIP));
  spec.loadBalancerSourceRanges?.forEach((range, i) => {
    out.push(...cidrWarnings(at('spec.loadBalancerSourceRanges', i), range));
  });
  return out;
};

const HINTS = 'service.kubernetes.io/topology-aware-hints';

export const serviceWarnings = ({ metadata, spec = {} }: Service): string[] => {
  const out: string[] = [];
  if (metadata.annotations?.[HINTS] !== undefined)
    out.push(`annotation ${HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead`);
  out.push(...aboutAddresses(spec));
  if (spec.type === 'ExternalName' && spec.externalIPs?.length)
    out.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  if (spec.type !== 'ExternalName' && spec.externalName)
    out.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  if (spec.trafficDistribution === 'PreferClose')
    out.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  return out;
};
