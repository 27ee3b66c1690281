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
} from './checks.ts';
import { familyOf, nonSpecialIP } from './ip.ts';
import { dnsLabel } from './names.ts';
import { isExternal, isHeadless, needsHealthPort, needsNodePorts } from './service-needs.ts';

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

const checkFamilies = (out: Causes, spec: ServiceSpec): void => {
  const seen = new Set<string>();
  spec.ipFamilies?.forEach((family, i) => {
    const where = at('spec.ipFamilies', i);
    if (oneOf(out, where, family, ['IPv4', 'IPv6']) && family === 'IPv6') {
      out.push(cause.invalid(where, family, 'not configured on this cluster'));
    }
    if (seen.has(family)) out.push(cause.duplicate(where, family));
    seen.add(family);
  });
  oneOf(out, 'spec.ipFamilyPolicy', spec.ipFamilyPolicy, ['PreferDualStack', 'RequireDualStack', 'SingleStack']);
  if (spec.ipFamilyPolicy === 'RequireDualStack') {
    const detail = 'this cluster is not configured for dual-stack services';
    out.push(cause.invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, detail));
  }
};

const checkClusterIPs = (out: Causes, spec: ServiceSpec): void => {
  if (spec.type === 'ExternalName') return;
  const path = 'spec.clusterIPs';
  const ips = spec.clusterIPs ?? [];
  if (spec.clusterIP) {
    if (ips.length === 0) out.push(cause.required(path));
    else if (ips[0] !== spec.clusterIP) out.push(cause.invalid(path, ips, 'first value must match `clusterIP`'));
  } else if (ips.length > 0) out.push(cause.invalid(path, ips, 'must be empty when `clusterIP` is not specified'));
  checkFamilies(out, spec);
  let valid = true;
  ips.forEach((ip, i) => {
    if (i === 0 && ip === 'None') {
      valid &&= ips.length === 1;
      if (ips.length > 1) out.push(cause.invalid(path, ips, "'None' must be the first and only value"));
    } else if (!checkIP(out, at(path, i), ip)) valid = false;
  });
  if (ips.length > 2) out.push(cause.invalid(path, ips, 'may only hold up to 2 values'));
  if (!valid) return;
  if (ips.length > 1 && new Set(ips.map(familyOf)).size < 2) {
    out.push(cause.invalid(path, ips, 'may specify no more than one IP for each IP family'));
  }
  if (isHeadless(spec)) return;
  ips.forEach((ip, i) => {
    const family = spec.ipFamilies?.[i];
    if (family === undefined || family === familyOf(ip)) return;
    out.push(cause.invalid(at(path, i), ip, `expected an ${family} value as indicated by \`ipFamilies[${i}]\``));
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
  if (spec.loadBalancerClass === undefined) return;
  if (balancer) checkLabelName(out, 'spec.loadBalancerClass', spec.loadBalancerClass);
  else out.push(cause.forbidden('spec.loadBalancerClass', ONLY_BALANCER));
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
  checkClusterIPs(out, spec);
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

/** clusterIP and clusterIPs say the same; families and policy are filled in for a cluster of IPv4 alone. */
const normalise = (spec: ServiceSpec): void => {
  if (spec.type === 'ExternalName') return;
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  if (!spec.ipFamilies?.length) spec.ipFamilies = [familyOf(spec.clusterIPs?.[0] ?? '') ?? 'IPv4'];
  spec.ipFamilyPolicy ??= 'SingleStack';
};

/** What the update left out and the service already had: its addresses and ports stay unless its type gives them up. */
const keepAllocated = (next: ServiceSpec, old: ServiceSpec): void => {
  const hadIP = old.type !== 'ExternalName';
  if (next.type === 'ExternalName') {
    if (hadIP && next.clusterIP === old.clusterIP) delete next.clusterIP;
    if (hadIP) for (const field of ['clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) delete next[field];
    return;
  }
  if (hadIP) {
    if (!next.clusterIP && !next.clusterIPs?.length) {
      if (old.clusterIP !== undefined) next.clusterIP = old.clusterIP;
      if (old.clusterIPs) next.clusterIPs = [...old.clusterIPs];
    } else if (next.clusterIP && old.clusterIP !== next.clusterIP && next.clusterIPs?.[0] === old.clusterIPs?.[0]) {
      next.clusterIPs = [next.clusterIP];
    }
    if (!next.ipFamilies?.length && old.ipFamilies) next.ipFamilies = [...old.ipFamilies];
    if (old.ipFamilyPolicy) next.ipFamilyPolicy ??= old.ipFamilyPolicy;
  }
  if (needsNodePorts(old) && needsNodePorts(next)) {
    const taken = new Set((next.ports ?? []).map((port) => port.nodePort));
    for (const port of next.ports ?? []) {
      if (port.nodePort) continue;
      const before = old.ports?.find((p) => p.port === port.port && p.protocol === port.protocol);
      if (before?.nodePort && !taken.has(before.nodePort)) port.nodePort = before.nodePort;
    }
  }
  if (needsHealthPort(old) && needsHealthPort(next) && old.healthCheckNodePort) {
    next.healthCheckNodePort ||= old.healthCheckNodePort;
  }
};

/** Fields that only the old type had and that were sent back unchanged are dropped when the type changes. */
const dropOfOldType = (next: ServiceSpec, old: ServiceSpec): void => {
  if (needsNodePorts(old) && !needsNodePorts(next)) {
    const before = new Set((old.ports ?? []).map((port) => port.nodePort));
    for (const port of next.ports ?? []) if (before.has(port.nodePort)) delete port.nodePort;
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

const validateUpdate: NonNullable<Strategy['validateUpdate']> = (nextObject, oldObject) => {
  const out: Causes = [];
  const next = (nextObject as Service).spec ?? {};
  const old = (oldObject as Service).spec ?? {};
  if (next.type !== 'ExternalName' && old.type !== 'ExternalName') {
    const before = old.clusterIPs?.[0];
    const after = next.clusterIPs?.[0];
    if (before !== undefined && after !== before) {
      out.push(cause.invalid('spec.clusterIPs[0]', next.clusterIPs, 'may not change once set'));
    }
  }
  if (next.type === 'LoadBalancer' && old.type === 'LoadBalancer' && next.loadBalancerClass !== old.loadBalancerClass) {
    out.push(cause.invalid('spec.loadBalancerClass', next.loadBalancerClass, 'may not change once set'));
  }
  if (needsHealthPort(old) && needsHealthPort(next) && next.healthCheckNodePort !== old.healthCheckNodePort) {
    out.push(cause.forbidden('spec.healthCheckNodePort', 'field is immutable'));
  }
  return out;
};

/** Services. Numbers come from service-allocation.ts, between prepare and validate. */
export const serviceStrategy: Strategy = {
  validateName: dnsLabel,
  createOnUpdate: true,
  prepareForCreate: (object) => {
    const service = object as Service;
    service.status = { loadBalancer: {} };
    service.spec ??= {};
    normalise(service.spec);
  },
  prepareForUpdate: (next, old, ctx) => {
    if (ctx.subresource !== '') return;
    const service = next as Service;
    const before = (old as Service).spec ?? {};
    service.spec ??= {};
    keepAllocated(service.spec, before);
    dropOfOldType(service.spec, before);
    normalise(service.spec);
    if (service.spec.type !== 'LoadBalancer' && service.status) service.status.loadBalancer = {};
  },
  validate,
  validateUpdate,
  warnings: (object) => {
    const out: string[] = [];
    const { spec } = object as Service;
    spec?.externalIPs?.forEach((ip, i) => {
      if (/(^|\.)0\d/.test(ip))
        out.push(`${at('spec.externalIPs', i)}: non-standard IP address "${ip}" will be considered invalid`);
    });
    if (spec?.trafficDistribution === 'PreferClose') {
      out.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
    }
    if (spec?.type === 'ExternalName' && isHeadless(spec)) {
      out.push('spec.clusterIP: None has no meaning for a service of type ExternalName');
    }
    return out;
  },
};
