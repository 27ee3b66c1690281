// Nodes, namespaces, endpoints, leases, priority and runtime classes.
import type {
  EndpointSlice,
  Endpoints,
  Lease,
  Namespace,
  Node,
  PriorityClass,
  RuntimeClass,
} from '../../machinery/kinds.d.ts';
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
  checkPreemption,
  checkSubdomain,
  immutable,
  invalidEach,
  oneOf,
  positive,
  required,
  requiredOneOf,
  same,
} from './checks.ts';
import { event } from './events.ts';
import { ambiguityOf, familyOf, nonSpecialIP, parseCidr } from './ip.ts';
import { dnsLabel, dnsSubdomain, labelValue, qualifiedName } from './names.ts';
import { checkOverhead, checkResourceQuantity } from './pod/resources.ts';
import { checkTolerations, TAINT_EFFECTS } from './pod/scheduling.ts';

const checkTaints = (out: Causes, node: Node): void => {
  const seen = new Set<string>();
  node.spec?.taints?.forEach((taint, i) => {
    const where = at('metadata.taints', i);
    checkLabelName(out, `${where}.key`, taint.key);
    const messages = labelValue(taint.value ?? '');
    if (messages.length) out.push(cause.invalid(`${where}.value`, taint.value, messages.join(';')));
    requiredOneOf(out, `${where}.effect`, taint.effect, TAINT_EFFECTS);
    const key = `${taint.effect}/${taint.key}`;
    if (seen.has(key)) out.push(cause.duplicate(where, taint));
    seen.add(key);
  });
};

const checkNode = (node: Node): Causes => {
  const out: Causes = [];
  checkTaints(out, node);
  for (const side of ['capacity', 'allocatable'] as const) {
    const list = node.status?.[side];
    for (const name in list) checkResourceQuantity(out, `status.${side}.${name}`, name, list[name] as string);
  }
  const cidrs = node.spec?.podCIDRs ?? [];
  cidrs.forEach((cidr, i) => {
    checkCidr(out, at('spec.podCIDRs', i), cidr);
  });
  const families = new Set(cidrs.map((cidr) => parseCidr(cidr)?.family));
  if (cidrs.length > 1 && (families.size < 2 || cidrs.length > 2)) {
    out.push(cause.invalid('spec.podCIDRs', cidrs, 'may specify no more than one CIDR for each IP family'));
  }
  return out;
};

const checkNodeUpdate = (next: Node, old: Node): Causes => {
  const out: Causes = [];
  const seen = new Set<string>();
  next.status?.addresses?.forEach((address, i) => {
    const key = `${address.type}/${address.address}`;
    if (seen.has(key)) out.push(cause.duplicate(at('status.addresses', i), address));
    seen.add(key);
  });
  if (old.spec?.podCIDRs?.length && !same(next.spec?.podCIDRs, old.spec.podCIDRs)) {
    out.push(cause.forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
  }
  if (old.spec?.providerID && old.spec.providerID !== next.spec?.providerID) {
    out.push(cause.forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
  }
  if ((old.spec?.externalID ?? '') !== (next.spec?.externalID ?? ''))
    out.push(cause.forbidden('spec.externalID', 'may not be updated'));
  return out;
};

const checkEndpoints: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  (object as Endpoints).subsets?.forEach((subset, i) => {
    const path = at('subsets', i);
    if (!subset.addresses?.length && !subset.notReadyAddresses?.length) {
      out.push(cause.required(path, 'must specify `addresses` or `notReadyAddresses`'));
    }
    for (const list of ['addresses', 'notReadyAddresses'] as const) {
      subset[list]?.forEach((address, n) => {
        const where = at(`${path}.${list}`, n);
        checkIP(out, `${where}.ip`, address.ip ?? '');
        if (address.hostname) checkDnsLabel(out, `${where}.hostname`, address.hostname);
        if (address.nodeName !== undefined) checkSubdomain(out, `${where}.nodeName`, address.nodeName);
        invalidEach(out, `${where}.ip`, address.ip, nonSpecialIP(address.ip ?? ''));
      });
    }
    subset.ports?.forEach((port, n) => {
      const where = at(`${path}.ports`, n);
      if (port.name) checkDnsLabel(out, `${where}.name`, port.name);
      else if ((subset.ports?.length ?? 0) > 1) out.push(cause.required(`${where}.name`));
      checkPort(out, `${where}.port`, port.port ?? 0);
      requiredOneOf(out, `${where}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']);
      if (port.appProtocol !== undefined) checkLabelName(out, `${where}.appProtocol`, port.appProtocol);
    });
  });
  return out;
};

const checkAddress = (out: Causes, slice: EndpointSlice, path: string, address: string): void => {
  if (slice.addressType === 'FQDN') {
    checkSubdomain(out, path, address.replace(/\.$/, ''));
    return;
  }
  if (slice.addressType !== 'IPv4' && slice.addressType !== 'IPv6') return;
  const family = familyOf(address);
  if (family !== slice.addressType) {
    if (family)
      out.push(cause.invalid(path.replace(/\[\d+\]$/, ''), address, `must be an ${slice.addressType} address`));
    else out.push(cause.invalid(path, address, 'must be a valid IP address'));
  }
  const ambiguity = family && ambiguityOf(address);
  if (ambiguity) out.push(cause.invalid(path, address, ambiguity));
  else if (family) invalidEach(out, path, address, nonSpecialIP(address));
};

const HINTS_MAX = 8;

/** Where an endpoint should serve: zones or nodes (KEP-2433, KEP-4444). */
const checkHints = (
  out: Causes,
  path: string,
  hints: readonly { name?: string }[] | undefined,
  faultsOf: (name: string) => readonly string[],
): void => {
  if ((hints?.length ?? 0) > HINTS_MAX) {
    out.push(cause.tooMany(path, hints?.length ?? 0, HINTS_MAX));
    return;
  }
  const names = new Set<string>();
  hints?.forEach(({ name = '' }, i) => {
    const where = `${at(path, i)}.name`;
    if (names.has(name)) out.push(cause.duplicate(where, name));
    names.add(name);
    invalidEach(out, where, name, faultsOf(name));
  });
};

const checkSlice: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const slice = object as EndpointSlice;
  requiredOneOf(out, 'addressType', slice.addressType, ['FQDN', 'IPv4', 'IPv6']);
  if ((slice.endpoints ?? []).length > 1000) out.push(cause.tooMany('endpoints', slice.endpoints?.length ?? 0, 1000));
  slice.endpoints?.forEach((endpoint, i) => {
    const path = at('endpoints', i);
    const addresses = endpoint.addresses ?? [];
    if (addresses.length === 0) out.push(cause.required(`${path}.addresses`, 'must contain at least 1 address'));
    else if (addresses.length > 100) out.push(cause.tooMany(`${path}.addresses`, addresses.length, 100));
    addresses.forEach((address, n) => {
      checkAddress(out, slice, at(`${path}.addresses`, n), address);
    });
    if (endpoint.nodeName !== undefined) checkSubdomain(out, `${path}.nodeName`, endpoint.nodeName);
    checkLabels(out, `${path}.deprecatedTopology`, endpoint.deprecatedTopology);
    if (endpoint.hostname !== undefined) checkDnsLabel(out, `${path}.hostname`, endpoint.hostname);
    checkHints(out, `${path}.hints.forZones`, endpoint.hints?.forZones, labelValue);
    checkHints(out, `${path}.hints.forNodes`, endpoint.hints?.forNodes, dnsSubdomain);
  });
  const names = new Set<string>();
  if ((slice.ports ?? []).length > 20000) out.push(cause.tooMany('ports', slice.ports?.length ?? 0, 20000));
  slice.ports?.forEach((port, i) => {
    const path = at('ports', i);
    const name = port.name ?? '';
    if (name) invalidEach(out, `${path}.name`, name, dnsLabel(name));
    if (names.has(name)) out.push(cause.duplicate(`${path}.name`, name));
    names.add(name);
    oneOf(out, `${path}.protocol`, port.protocol ?? '', ['SCTP', 'TCP', 'UDP']);
    if (port.appProtocol !== undefined) checkLabelName(out, `${path}.appProtocol`, port.appProtocol);
  });
  return out;
};

const SYSTEM_CLASSES: Record<string, number> = {
  'system-node-critical': 2000001000,
  'system-cluster-critical': 2000000000,
};
const checkPriority: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const priority = object as PriorityClass;
  const name = priority.metadata.name ?? '';
  if (name.startsWith('system-')) {
    const value = SYSTEM_CLASSES[name];
    const fault =
      value === undefined
        ? `${name} is not a known system priority class`
        : value !== priority.value
          ? `value of ${name} PriorityClass must be ${value}`
          : priority.globalDefault && `globalDefault of ${name} PriorityClass must be false`;
    const reserved = "priority class names with 'system-' prefix are reserved for system use only";
    if (fault) out.push(cause.forbidden('metadata.name', `${reserved}. error: ${fault}`));
  } else if ((priority.value ?? 0) > 1000000000) {
    out.push(cause.forbidden('value', 'maximum allowed value of a user defined priority is 1000000000'));
  }
  checkPreemption(out, 'preemptionPolicy', priority.preemptionPolicy);
  return out;
};

const checkRuntime: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const runtime = object as RuntimeClass;
  if (required(out, 'handler', runtime.handler)) checkDnsLabel(out, 'handler', runtime.handler);
  const { podFixed } = runtime.overhead ?? {};
  checkOverhead(out, 'overhead', podFixed);
  checkLabels(out, 'scheduling.nodeSelector', runtime.scheduling?.nodeSelector);
  checkTolerations(out, 'scheduling.tolerations', runtime.scheduling?.tolerations);
  const seen = new Set<string>();
  runtime.scheduling?.tolerations?.forEach((toleration, i) => {
    const key = JSON.stringify([toleration.key, toleration.operator, toleration.value, toleration.effect]);
    if (seen.has(key)) out.push(cause.duplicate(at('scheduling.tolerations', i), toleration));
    seen.add(key);
  });
  return out;
};

const checkLease: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { spec } = object as Lease;
  if (spec?.leaseDurationSeconds !== undefined) positive(out, 'spec.leaseDurationSeconds', spec.leaseDurationSeconds);
  if ((spec?.leaseTransitions ?? 0) < 0) {
    out.push(cause.invalid('spec.leaseTransitions', spec?.leaseTransitions, 'must be greater than or equal to 0'));
  }
  if (spec?.strategy !== undefined) checkLabelName(out, 'spec.strategy', spec.strategy);
  if (spec?.preferredHolder && !spec.strategy) {
    out.push(cause.forbidden('spec.preferredHolder', 'may only be specified when `strategy` is defined'));
  }
  return out;
};

/** Strategies by `group/Kind`. */
export const clusterStrategies: Readonly<Record<string, Strategy>> = {
  '/Node': {
    validate: (object) => checkNode(object as Node),
    validateUpdate: (next, old) => checkNodeUpdate(next as Node, old as Node),
    validateStatusUpdate: (next, old) => [...checkNode(next as Node), ...checkNodeUpdate(next as Node, old as Node)],
  },
  '/Namespace': {
    validateName: dnsLabel,
    prepareForCreate: (object) => {
      const namespace = object as Namespace;
      namespace.status = { phase: 'Active' };
      namespace.spec ??= {};
      const { spec } = namespace;
      const finalizers = spec.finalizers ?? [];
      spec.finalizers = finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
    },
    validateCreate: (object) => {
      const out: Causes = [];
      for (const finalizer of (object as Namespace).spec?.finalizers ?? []) {
        const messages = qualifiedName(finalizer);
        if (messages.length === 0 && finalizer !== 'kubernetes' && !finalizer.includes('/'))
          messages.push('name is neither a standard finalizer name nor is it fully qualified');
        invalidEach(out, 'spec.finalizers', finalizer, messages);
      }
      return out;
    },
    prepareForUpdate: (next, old, ctx) => {
      if (ctx.subresource === 'finalize') return;
      const { spec } = old as Namespace;
      if (spec) (next as Namespace).spec = spec;
      else delete (next as Namespace).spec;
    },
    validateStatusUpdate: (next) => {
      const { metadata, status } = next as Namespace;
      const deleting = metadata.deletionTimestamp !== undefined;
      const detail = deleting
        ? "may only be 'Terminating' if `deletionTimestamp` is not empty"
        : "may only be 'Active' if `deletionTimestamp` is empty";
      const right = (status?.phase ?? 'Active') === (deleting ? 'Terminating' : 'Active');
      return right ? [] : [cause.invalid('status.Phase', status?.phase, detail)];
    },
  },
  '/Endpoints': {
    validate: checkEndpoints,
    createOnUpdate: true,
  },
  'discovery.k8s.io/EndpointSlice': {
    prepareForUpdate: (next, old) => {
      if (!same(next.metadata.labels, old.metadata.labels))
        next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    },
    validate: checkSlice,
    validateUpdate: (next, old) => {
      const out: Causes = [];
      immutable(out, 'addressType', (next as EndpointSlice).addressType, (old as EndpointSlice).addressType);
      return out;
    },
  },
  '/Event': event,
  'events.k8s.io/Event': event,
  'coordination.k8s.io/Lease': { validate: checkLease, createOnUpdate: true },
  'scheduling.k8s.io/PriorityClass': {
    // Nothing of it may change, so an update is not checked again.
    validate: (object, ctx) => (object.metadata.resourceVersion ? [] : checkPriority(object, ctx)),
    validateUpdate: (next, old) => {
      const out: Causes = [];
      const [a, b] = [next as PriorityClass, old as PriorityClass];
      if ((a.value ?? 0) !== (b.value ?? 0)) out.push(cause.forbidden('value', 'may not be changed in an update.'));
      immutable(out, 'preemptionPolicy', a.preemptionPolicy, b.preemptionPolicy);
      return out;
    },
  },
  'node.k8s.io/RuntimeClass': {
    createOnUpdate: true,
    validate: checkRuntime,
    validateUpdate: (next, old) => {
      const out: Causes = [];
      immutable(out, 'handler', (next as RuntimeClass).handler, (old as RuntimeClass).handler);
      return out;
    },
  },
};
