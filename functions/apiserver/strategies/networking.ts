// Ingresses, IngressClasses, NetworkPolicies, IPAddresses and ServiceCIDRs.
import type {
  HTTPIngressPath,
  Ingress,
  IngressBackend,
  IngressClass,
  IPAddress,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  ServiceCIDR,
} from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkCidr,
  checkIP,
  checkPort,
  checkPortOrName,
  checkSelector,
  checkSubdomain,
  immutable,
  invalidEach,
  oneOf,
  required,
} from './checks.ts';
import { canonicalAddress, familyOf, parseCidr } from './ip.ts';
import { dnsLabel, dnsSubdomain, domainPrefixedPath, pathSegment, portName, wildcardSubdomain } from './names.ts';

const checkBackend = (out: Causes, path: string, backend: IngressBackend | undefined): void => {
  const { service, resource } = backend ?? {};
  if (service && resource) out.push(cause.invalid(path, '', 'cannot set both resource and service backends'));
  else if (resource) {
    if (resource.apiGroup) checkSubdomain(out, `${path}.resource.apiGroup`, resource.apiGroup);
    for (const field of ['kind', 'name'] as const) {
      const where = `${path}.resource.${field}`;
      if (required(out, where, resource[field])) invalidEach(out, where, resource[field], pathSegment(resource[field]));
    }
  } else if (service) {
    const where = `${path}.service`;
    if (required(out, `${where}.name`, service.name))
      invalidEach(out, `${where}.name`, service.name, dnsLabel(service.name));
    const { name, number } = service.port ?? {};
    if (name && number) out.push(cause.invalid(path, '', 'cannot set both port name & port number'));
    else if (name) invalidEach(out, `${where}.port.name`, name, portName(name));
    else if (number) checkPort(out, `${where}.port.number`, number);
    else out.push(cause.required(path, 'port name or number is required'));
  } else out.push(cause.invalid(path, '', 'resource or service backend is required'));
};

const BAD_SEQUENCES = ['//', '/./', '/../', '%2f', '%2F'];
const BAD_ENDINGS = ['/..', '/.'];
const checkPath = (out: Causes, path: string, entry: HTTPIngressPath): void => {
  const text = entry.path ?? '';
  const where = `${path}.path`;
  const type = entry.pathType;
  if (!type) {
    out.push(cause.required(`${path}.pathType`, 'pathType must be specified'));
    return;
  }
  const strict = type === 'Exact' || type === 'Prefix';
  if (!strict && type !== 'ImplementationSpecific') {
    out.push(cause.notSupported(`${path}.pathType`, type, ['Exact', 'ImplementationSpecific', 'Prefix']));
  } else if ((strict || text !== '') && !text.startsWith('/')) {
    out.push(cause.invalid(where, text, 'must be an absolute path'));
  }
  if (strict) {
    for (const s of BAD_SEQUENCES)
      if (text.includes(s)) out.push(cause.invalid(where, text, `must not contain '${s}'`));
    for (const s of BAD_ENDINGS) if (text.endsWith(s)) out.push(cause.invalid(where, text, `cannot end with '${s}'`));
  }
  checkBackend(out, `${path}.backend`, entry.backend);
};

const hostFaults = (host: string): string[] => (host.includes('*') ? wildcardSubdomain(host) : dnsSubdomain(host));

const validateIngress: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const spec = (object as Ingress).spec ?? {};
  if (!spec.rules?.length && !spec.defaultBackend) {
    out.push(cause.invalid('spec', spec.rules ?? null, 'either `defaultBackend` or `rules` must be specified'));
  }
  if (spec.defaultBackend) checkBackend(out, 'spec.defaultBackend', spec.defaultBackend);
  spec.rules?.forEach((rule, i) => {
    const where = at('spec.rules', i);
    if (rule.host) {
      if (familyOf(rule.host))
        out.push(cause.invalid(`${where}.host`, rule.host, 'must be a DNS name, not an IP address'));
      invalidEach(out, `${where}.host`, rule.host, hostFaults(rule.host));
    }
    if (!rule.http) return;
    if (!rule.http.paths?.length) out.push(cause.required(`${where}.http.paths`));
    rule.http.paths?.forEach((entry, n) => {
      checkPath(out, at(`${where}.http.paths`, n), entry);
    });
  });
  spec.tls?.forEach((tls, i) => {
    const where = at('spec.tls', i);
    tls.hosts?.forEach((host, n) => {
      invalidEach(out, at(`${where}.hosts`, n), host, hostFaults(host));
    });
    if (tls.secretName) invalidEach(out, `${where}.secretName`, tls.secretName, dnsSubdomain(tls.secretName));
  });
  if (spec.ingressClassName !== undefined) checkSubdomain(out, 'spec.ingressClassName', spec.ingressClassName);
  const annotation = object.metadata.annotations?.['kubernetes.io/ingress.class'];
  const created = !object.metadata.resourceVersion;
  if (
    created &&
    annotation !== undefined &&
    spec.ingressClassName !== undefined &&
    annotation !== spec.ingressClassName
  ) {
    const detail = 'must match `ingressClassName` when both are specified';
    out.push(cause.invalid('annotations.kubernetes.io/ingress.class', annotation, detail));
  }
  return out;
};

const validateClass: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const spec = (object as IngressClass).spec ?? {};
  const controller = spec.controller ?? '';
  if (controller.length > 250) out.push(cause.tooLong('spec.controller', 250));
  if (required(out, 'spec.controller', controller)) {
    invalidEach(out, 'spec.controller', controller, domainPrefixedPath(controller));
  }
  const { parameters } = spec;
  if (!parameters) return out;
  const path = 'spec.parameters';
  if (parameters.apiGroup !== undefined) checkSubdomain(out, `${path}.apiGroup`, parameters.apiGroup);
  for (const field of ['kind', 'name'] as const)
    if (required(out, `${path}.${field}`, parameters[field]))
      invalidEach(out, `${path}.${field}`, parameters[field], pathSegment(parameters[field] ?? ''));
  if (!oneOf(out, `${path}.scope`, parameters.scope ?? '', ['Cluster', 'Namespace'])) return out;
  if (parameters.scope === 'Namespace') {
    if (!parameters.namespace)
      out.push(cause.required(`${path}.namespace`, "`parameters.scope` is set to 'Namespace'"));
    else invalidEach(out, `${path}.namespace`, parameters.namespace, dnsLabel(parameters.namespace));
  } else if (parameters.namespace !== undefined) {
    out.push(cause.forbidden(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  }
  return out;
};

const checkPolicyPort = (out: Causes, path: string, port: NetworkPolicyPort): void => {
  oneOf(out, `${path}.protocol`, port.protocol, ['TCP', 'UDP', 'SCTP']);
  const end = port.endPort;
  if (port.port === undefined) {
    if (end !== undefined)
      out.push(cause.invalid(`${path}.endPort`, end, 'may not be specified when `port` is not specified'));
    return;
  }
  if (typeof port.port === 'string' && end !== undefined) {
    out.push(cause.invalid(`${path}.endPort`, end, 'may not be specified when `port` is non-numeric'));
  }
  checkPortOrName(out, `${path}.port`, port.port);
  if (typeof port.port === 'string' || end === undefined) return;
  if (end < port.port) out.push(cause.invalid(`${path}.endPort`, port.port, 'must be greater than or equal to `port`'));
  checkPort(out, `${path}.endPort`, end);
};

const checkPeer = (out: Causes, path: string, peer: NetworkPolicyPeer): void => {
  checkSelector(out, `${path}.podSelector`, peer.podSelector);
  checkSelector(out, `${path}.namespaceSelector`, peer.namespaceSelector);
  const block = peer.ipBlock;
  if (!block) {
    if (!peer.podSelector && !peer.namespaceSelector) out.push(cause.required(path, 'must specify a peer'));
    return;
  }
  const cidr = parseCidr(block.cidr ?? '');
  if (required(out, `${path}.ipBlock.cidr`, block.cidr) && checkCidr(out, `${path}.ipBlock.cidr`, block.cidr)) {
    block.except?.forEach((text, i) => {
      const where = at(`${path}.ipBlock.except`, i);
      const except = parseCidr(text);
      if (!checkCidr(out, where, text) || !cidr || !except) return;
      const host = BigInt(cidr.bits - cidr.prefix);
      const inside = cidr.bits === except.bits && except.network >> host === cidr.network >> host;
      if (!inside || cidr.prefix >= except.prefix)
        out.push(cause.invalid(where, text, 'must be a strict subset of `cidr`'));
    });
  }
  if (peer.podSelector || peer.namespaceSelector) {
    out.push(cause.forbidden(path, 'may not specify both ipBlock and another peer'));
  }
};

const validatePolicy: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const spec = (object as NetworkPolicy).spec ?? {};
  checkSelector(out, 'spec.podSelector', spec.podSelector);
  const rules = [
    ...(spec.ingress ?? []).map((rule, i) => [at('spec.ingress', i), 'from', rule.ports, rule.from] as const),
    ...(spec.egress ?? []).map((rule, i) => [at('spec.egress', i), 'to', rule.ports, rule.to] as const),
  ];
  for (const [path, side, ports, peers] of rules) {
    ports?.forEach((port, n) => {
      checkPolicyPort(out, at(`${path}.ports`, n), port);
    });
    peers?.forEach((peer, n) => {
      checkPeer(out, at(`${path}.${side}`, n), peer);
    });
  }
  const types = spec.policyTypes ?? [];
  if (types.length > 2) out.push(cause.invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
  else {
    types.forEach((type, i) => {
      oneOf(out, at('spec.policyTypes', i), type, ['Ingress', 'Egress']);
    });
  }
  return out;
};

const checkCanonicalCidr = (out: Causes, path: string, text: string): void => {
  if (!checkCidr(out, path, text)) return;
  const cidr = parseCidr(text);
  if (cidr && cidr.address !== cidr.network) out.push(cause.invalid(path, text, 'must be in canonical form'));
};

/** Strategies by `group/Kind`. */
export const networkingStrategies: Readonly<Record<string, Strategy>> = {
  'networking.k8s.io/Ingress': {
    validate: validateIngress,
    validateStatusUpdate: (next) => {
      const out: Causes = [];
      (next as Ingress).status?.loadBalancer?.ingress?.forEach((entry, i) => {
        const where = at('status.loadBalancer.ingress', i);
        if (entry.ip) checkIP(out, `${where}.ip`, entry.ip);
        if (!entry.hostname) return;
        checkSubdomain(out, `${where}.hostname`, entry.hostname);
        if (familyOf(entry.hostname)) {
          out.push(cause.invalid(`${where}.hostname`, entry.hostname, 'must be a DNS name, not an IP address'));
        }
      });
      return out;
    },
  },
  'networking.k8s.io/IngressClass': {
    validate: validateClass,
    validateUpdate: (next, old) => {
      const out: Causes = [];
      immutable(
        out,
        'spec.controller',
        (next as IngressClass).spec?.controller,
        (old as IngressClass).spec?.controller,
      );
      return out;
    },
  },
  'networking.k8s.io/NetworkPolicy': { validate: validatePolicy },
  'networking.k8s.io/IPAddress': {
    validateName: (name) => {
      if (!familyOf(name)) return ['must be a valid IP address'];
      return canonicalAddress(name) === name ? [] : [`must be in canonical form ("${canonicalAddress(name)}")`];
    },
    validate: (object) => {
      const out: Causes = [];
      const parent = (object as IPAddress).spec?.parentRef;
      if (!parent) out.push(cause.required('spec.parentRef'));
      else {
        if (parent.group) checkSubdomain(out, 'spec.parentRef.group', parent.group);
        for (const field of ['resource', 'name'] as const) {
          const where = `spec.parentRef.${field}`;
          if (required(out, where, parent[field]))
            invalidEach(out, where, parent[field], pathSegment(parent[field] ?? ''));
        }
        if (parent.namespace)
          invalidEach(out, 'spec.parentRef.namespace', parent.namespace, pathSegment(parent.namespace));
      }
      return out;
    },
    validateUpdate: (next, old) => {
      const out: Causes = [];
      immutable(out, 'spec.parentRef', (next as IPAddress).spec?.parentRef, (old as IPAddress).spec?.parentRef);
      return out;
    },
  },
  'networking.k8s.io/ServiceCIDR': {
    validate: (object) => {
      const out: Causes = [];
      const cidrs = (object as ServiceCIDR).spec?.cidrs ?? [];
      if (cidrs.length === 0) out.push(cause.required('spec.cidrs', 'at least one CIDR required'));
      if (cidrs.length > 2) out.push(cause.invalid('spec.cidrs', cidrs, 'may only hold up to 2 values'));
      cidrs.forEach((text, i) => {
        checkCanonicalCidr(out, at('spec.cidrs', i), text);
      });
      const [a, b] = cidrs.map((text) => parseCidr(text)?.family);
      if (a && a === b)
        out.push(cause.invalid('spec.cidrs', cidrs, 'may specify no more than one IP for each IP family'));
      return out;
    },
    validateUpdate: (next, old) => {
      const out: Causes = [];
      const after = (next as ServiceCIDR).spec?.cidrs ?? [];
      const before = (old as ServiceCIDR).spec?.cidrs ?? [];
      // A range of the other family may be added.
      const grows = before.length === 1 && after.length === 2;
      if (after.length !== before.length && !grows) immutable(out, 'spec.cidrs', after, before);
      else
        before.forEach((cidr, i) => {
          immutable(out, at('spec.cidrs', i), after[i], cidr);
        });
      return out;
    },
  },
};
