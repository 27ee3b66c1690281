import type { Service, ServicePort, ServiceSpec } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkCidr,
  checkDnsLabel,
  checkIP,
  checkLabelName,
  checkLabels,
  checkPort,
  checkPortOrName,
  checkSubdomain,
  invalidEach,
  oneOf,
  required,
  requiredOneOf,
  same,
} from './checks.ts';
import { nonSpecialIP } from './ip.ts';
import { dnsLabel } from './names.ts';
import { checkAddresses } from './service-families.ts';
import { hasNodePorts, isExternal, isHeadless, needsHealthPort } from './service-needs.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const ONLY_BALANCER = "may only be used when `type` is 'LoadBalancer'";

const checkPorts = (out: Causes, spec: ServiceSpec): void => {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  ports.forEach((port: ServicePort, i) => {
    const where = at('spec.ports', i);
    if (port.name) {
      checkDnsLabel(out, `${where}.name`, port.name);
      if (names.has(port.name)) out.push(cause.duplicate(`${where}.name`, port.name));
      names.add(port.name);
    } else if (ports.length > 1) out.push(cause.required(`${where}.name`));
    checkPort(out, `${where}.port`, port.port ?? 0);
    requiredOneOf(out, `${where}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']);
    checkPortOrName(out, `${where}.targetPort`, port.targetPort);
    if (port.appProtocol !== undefined) checkLabelName(out, `${where}.appProtocol`, port.appProtocol);
  });
};

const checkPortsTogether = (out: Causes, spec: ServiceSpec): void => {
  const nodePorts = new Set<string>();
  const numbers = new Set<string>();
  const ports = spec.ports ?? [];
  ports.forEach((port, i) => {
    if (!port.nodePort) return;
    const where = `${at('spec.ports', i)}.nodePort`;
    if (spec.type === 'ClusterIP') out.push(cause.forbidden(where, "may not be used when `type` is 'ClusterIP'"));
    const key = `${port.protocol}/${port.nodePort}`;
    if (nodePorts.has(key)) out.push(cause.duplicate(where, port.nodePort));
    nodePorts.add(key);
  });
  ports.forEach((port, i) => {
    const key = `${port.protocol}/${port.port}`;
    if (numbers.has(key)) out.push(cause.duplicate(at('spec.ports', i), { protocol: port.protocol, port: port.port }));
    numbers.add(key);
  });
};

const checkType = (out: Causes, spec: ServiceSpec): void => {
  const headless = isHeadless(spec);
  if (!spec.ports?.length && !headless && spec.type !== 'ExternalName') out.push(cause.required('spec.ports'));
  if ((spec.type === 'LoadBalancer' || spec.type === 'NodePort') && headless) {
    const detail = `may not be set to 'None' for ${spec.type} services`;
    out.push(cause.invalid('spec.clusterIPs[0]', 'None', detail));
  }
  if (spec.type !== 'ExternalName') return;
  const detail = 'may not be set for ExternalName services';
  if (spec.clusterIPs?.length) out.push(cause.forbidden('spec.clusterIPs', detail));
  if (spec.ipFamilies?.length) out.push(cause.forbidden('spec.ipFamilies', detail));
  if (spec.ipFamilyPolicy !== undefined) out.push(cause.forbidden('spec.ipFamilyPolicy', detail));
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  if (required(out, 'spec.externalName', name)) checkSubdomain(out, 'spec.externalName', name);
};

const checkAffinity = (out: Causes, spec: ServiceSpec): void => {
  requiredOneOf(out, 'spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']);
  if (spec.sessionAffinity !== 'ClientIP') return;
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined) out.push(cause.required('spec.sessionAffinityConfig'));
  else if (seconds <= 0 || seconds > 86400) {
    const where = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
    out.push(cause.invalid(where, seconds, 'must be greater than 0 and less than 86400'));
  }
};

const checkClass = (out: Causes, spec: ServiceSpec): void => {
  const { loadBalancerClass: name } = spec;
  if (name === undefined) return;
  if (spec.type === 'LoadBalancer') checkLabelName(out, 'spec.loadBalancerClass', name);
  else out.push(cause.forbidden('spec.loadBalancerClass', ONLY_BALANCER));
};

const checkBalancer = (out: Causes, service: Service, spec: ServiceSpec): void => {
  const balancer = spec.type === 'LoadBalancer';
  const path = 'spec.LoadBalancerSourceRanges';
  if (spec.loadBalancerSourceRanges?.length) {
    if (!balancer) out.push(cause.forbidden(path, ONLY_BALANCER));
    spec.loadBalancerSourceRanges.forEach((range, i) => {
      checkCidr(out, at(path, i), range.trim());
    });
  } else {
    const key = 'service.beta.kubernetes.io/load-balancer-source-ranges';
    const given = service.metadata.annotations?.[key];
    const where = at('metadata.annotations', key);
    if (given !== undefined && !balancer) out.push(cause.forbidden(where, ONLY_BALANCER));
    for (const range of given?.trim() ? given.split(',') : []) checkCidr(out, where, range.trim());
  }
  if (!balancer && spec.allocateLoadBalancerNodePorts !== undefined) {
    out.push(cause.forbidden('spec.allocateLoadBalancerNodePorts', ONLY_BALANCER));
  }
  checkClass(out, spec);
};

const checkTraffic = (out: Causes, spec: ServiceSpec): void => {
  const path = 'spec.externalTrafficPolicy';
  const policy = spec.externalTrafficPolicy;
  if (isExternal(spec)) requiredOneOf(out, path, policy, ['Cluster', 'Local']);
  else if (policy) out.push(cause.invalid(path, policy, 'may only be set for externally-accessible services'));
  const port = spec.healthCheckNodePort ?? 0;
  if (needsHealthPort(spec)) {
    if (port === 0) out.push(cause.required('spec.healthCheckNodePort'));
    else checkPort(out, 'spec.healthCheckNodePort', port);
  } else if (port !== 0) {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    out.push(cause.invalid('spec.healthCheckNodePort', port, detail));
  }
  oneOf(out, 'spec.internalTrafficPolicy', spec.internalTrafficPolicy, ['Cluster', 'Local']);
  const spread = ['PreferClose', 'PreferSameZone', 'PreferSameNode'];
  oneOf(out, 'spec.trafficDistribution', spec.trafficDistribution, spread);
};

const validate: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const service = object as Service;
  const spec = service.spec ?? {};
  checkType(out, spec);
  checkPorts(out, spec);
  checkLabels(out, 'spec.selector', spec.selector);
  checkAffinity(out, spec);
  checkAddresses(out, spec);
  spec.externalIPs?.forEach((ip, i) => {
    const where = at('spec.externalIPs', i);
    if (checkIP(out, where, ip)) invalidEach(out, where, ip, nonSpecialIP(ip));
  });
  requiredOneOf(out, 'spec.type', spec.type, TYPES);
  checkPortsTogether(out, spec);
  checkBalancer(out, service, spec);
  checkTraffic(out, spec);
  return out;
};

/** clusterIP and clusterIPs say the same, also where a client knows only the first of them. */
const alignAddresses = (next: ServiceSpec, old: ServiceSpec): void => {
  const before = old.clusterIP ?? '';
  const after = next.clusterIP ?? '';
  if (before === after) {
    if (old.clusterIPs?.length && !next.clusterIPs?.length) next.clusterIPs = [...old.clusterIPs];
    return;
  }
  if (!same(old.clusterIPs, next.clusterIPs)) return;
  if (after) next.clusterIPs = [after];
  else delete next.clusterIPs;
};

/** What the update left out and the service already had: its addresses and ports stay unless its type gives them up. */
const keepAllocated = (next: ServiceSpec, old: ServiceSpec): void => {
  if (next.type !== 'ExternalName' && old.type !== 'ExternalName') {
    if (!next.clusterIP && old.clusterIP !== undefined) next.clusterIP = old.clusterIP;
    if (!next.clusterIPs?.length && old.clusterIPs?.length) next.clusterIPs = [...old.clusterIPs];
  }
  if (hasNodePorts(old) && hasNodePorts(next)) {
    const now = new Set((next.ports ?? []).map((port) => port.nodePort));
    const before = new Map((old.ports ?? []).map((port) => [port.name ?? '', port.nodePort]));
    for (const port of next.ports ?? []) {
      const known = before.get(port.name ?? '');
      if (!port.nodePort && known && !now.has(known)) port.nodePort = known;
    }
  }
  if (needsHealthPort(old) && needsHealthPort(next) && old.healthCheckNodePort) {
    next.healthCheckNodePort ||= old.healthCheckNodePort;
  }
  alignAddresses(next, old);
};

const ADDRESSES = ['clusterIP', 'clusterIPs'] as const;
const nodePortsOf = (spec: ServiceSpec): number[] => (spec.ports ?? []).flatMap((port) => port.nodePort || []);

/** Fields that only the old type had and that were sent back unchanged are dropped when the type changes. */
const dropOfOldType = (next: ServiceSpec, old: ServiceSpec): void => {
  if (old.type !== 'ExternalName' && next.type === 'ExternalName') {
    if (ADDRESSES.every((field) => same(next[field], old[field]))) for (const field of ADDRESSES) delete next[field];
    for (const field of ['ipFamilies', 'ipFamilyPolicy'] as const)
      if (same(next[field], old[field])) delete next[field];
  }
  if (hasNodePorts(old) && !hasNodePorts(next)) {
    const before = new Set(nodePortsOf(old));
    if (nodePortsOf(next).every((port) => before.has(port))) for (const port of next.ports ?? []) delete port.nodePort;
  }
  if (needsHealthPort(old) && !needsHealthPort(next) && next.healthCheckNodePort === old.healthCheckNodePort) {
    delete next.healthCheckNodePort;
  }
  if (isExternal(old) && !isExternal(next) && next.externalTrafficPolicy === old.externalTrafficPolicy) {
    delete next.externalTrafficPolicy;
  }
  if (old.type !== 'LoadBalancer' || next.type === 'LoadBalancer') return;
  for (const field of ['allocateLoadBalancerNodePorts', 'loadBalancerClass'] as const) {
    if (next[field] === old[field]) delete next[field];
  }
};

const MAY_NOT = 'may not change once set';

/** What a service may change about its addresses: the first stays, a second may come or, with SingleStack, go. */
const checkAddressesStay = (out: Causes, next: ServiceSpec, old: ServiceSpec): void => {
  const path = 'spec.clusterIPs';
  const [before, after] = [old.clusterIPs ?? [], next.clusterIPs ?? []];
  if (isHeadless(old) && isHeadless(next)) return;
  if (before.length === after.length) {
    before.forEach((ip, i) => {
      if (ip !== after[i]) out.push(cause.invalid(at(path, i), after, MAY_NOT));
    });
    return;
  }
  if (after.length === 0) out.push(cause.invalid(at(path, 0), after, 'primary clusterIP can not be unset'));
  else if (before.length > 0 && before[0] !== after[0]) out.push(cause.invalid(at(path, 0), after, MAY_NOT));
  if (before.length > after.length && after.length === 1 && next.ipFamilyPolicy !== 'SingleStack') {
    const detail = "must be set to 'SingleStack' when releasing the secondary clusterIP";
    out.push(cause.invalid('spec.ipFamilyPolicy', next.ipFamilyPolicy, detail));
  }
};

/** The same for its families, which a headless service may choose again. */
const checkFamiliesStay = (out: Causes, next: ServiceSpec, old: ServiceSpec): void => {
  const where = 'spec.ipFamilies[0]';
  if (isHeadless(old) || isHeadless(next)) return;
  const [before, after] = [old.ipFamilies ?? [], next.ipFamilies ?? []];
  if (before.length === after.length) {
    before.forEach((family, i) => {
      if (family !== after[i]) out.push(cause.invalid(where, after, MAY_NOT));
    });
    return;
  }
  if (before.length > after.length && !next.clusterIPs?.length)
    out.push(cause.invalid(where, after, 'primary ipFamily can not be unset'));
  if (before.length > 0 && after.length > 0 && before[0] !== after[0]) out.push(cause.invalid(where, after, MAY_NOT));
  if (before.length > after.length && after.length === 1 && next.ipFamilyPolicy !== 'SingleStack') {
    const detail = "must be set to 'SingleStack' when releasing the secondary ipFamily";
    out.push(cause.invalid('spec.ipFamilyPolicy', next.ipFamilyPolicy, detail));
  }
};

const validateUpdate: NonNullable<Strategy['validateUpdate']> = (nextObject, oldObject) => {
  const out: Causes = [];
  const next = (nextObject as Service).spec ?? {};
  const old = (oldObject as Service).spec ?? {};
  if (next.type !== 'ExternalName' && old.type !== 'ExternalName') {
    checkAddressesStay(out, next, old);
    checkFamiliesStay(out, next, old);
  }
  checkClass(out, next);
  if (next.type === 'LoadBalancer' && old.type === 'LoadBalancer' && next.loadBalancerClass !== old.loadBalancerClass) {
    out.push(cause.invalid('spec.loadBalancerClass', next.loadBalancerClass, 'may not change once set'));
  }
  if (needsHealthPort(old) && needsHealthPort(next) && next.healthCheckNodePort !== old.healthCheckNodePort) {
    out.push(cause.forbidden('spec.healthCheckNodePort', 'field is immutable'));
  }
  return out;
};

/** Upstream leaves this out of every ExternalName that it reads. */
const dropIgnored = (spec: ServiceSpec): void => {
  if (spec.type === 'ExternalName') delete spec.internalTrafficPolicy;
};

/** Services. Numbers come from service-allocation.ts, between prepare and validate. */
export const serviceStrategy: Strategy = {
  validateName: dnsLabel,
  createOnUpdate: true,
  prepareForCreate: (object) => {
    const service = object as Service;
    service.status = { loadBalancer: {} };
    service.spec ??= {};
    const { spec } = service;
    if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
    dropIgnored(spec);
  },
  prepareForUpdate: (next, old, ctx) => {
    if (ctx.subresource !== '') return;
    const service = next as Service;
    const before = (old as Service).spec ?? {};
    service.spec ??= {};
    keepAllocated(service.spec, before);
    dropOfOldType(service.spec, before);
    dropIgnored(service.spec);
    if (service.spec.type !== 'LoadBalancer' && service.status) service.status.loadBalancer = {};
  },
  validate,
  validateUpdate,
};
