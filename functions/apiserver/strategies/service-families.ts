// Address families of services (KEP-563): what a service that does not name them gets, on a cluster of IPv4 alone.
import type { Service, ServiceSpec } from '../../machinery/kinds.d.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import { at, type Causes, checkIP, oneOf, same } from './checks.ts';
import { familyOf } from './ip.ts';
import { isHeadless } from './service-needs.ts';

const FAMILIES = ['IPv4', 'IPv6'];
const POLICIES = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
/** Families that the cluster gives addresses of. */
const CONFIGURED = ['IPv4'];
const POLICY = 'spec.ipFamilyPolicy';
const IPS = 'spec.clusterIPs';

const checkStandalone = (out: Causes, spec: ServiceSpec): void => {
  const ips = spec.clusterIPs ?? [];
  if (spec.clusterIP) {
    if (ips.length === 0) out.push(cause.required(IPS));
    else if (ips[0] !== spec.clusterIP) out.push(cause.invalid(IPS, ips, 'first value must match `clusterIP`'));
  } else if (ips.length > 0) out.push(cause.invalid(IPS, ips, 'must be empty when `clusterIP` is not specified'));
  const seen = new Set<string>();
  spec.ipFamilies?.forEach((family, i) => {
    const where = at('spec.ipFamilies', i);
    oneOf(out, where, family, FAMILIES);
    if (seen.has(family)) out.push(cause.duplicate(where, family));
    seen.add(family);
  });
  oneOf(out, POLICY, spec.ipFamilyPolicy, POLICIES);
};

/** clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy against one another. None of them belongs to an ExternalName. */
export const checkAddresses = (out: Causes, spec: ServiceSpec): void => {
  if (spec.type === 'ExternalName') return;
  checkStandalone(out, spec);
  const ips = spec.clusterIPs ?? [];
  let valid = true;
  ips.forEach((ip, i) => {
    if (i === 0 && ip === 'None') {
      valid &&= ips.length === 1;
      if (ips.length > 1) out.push(cause.invalid(IPS, ips, "'None' must be the first and only value"));
    } else if (!checkIP(out, at(IPS, i), ip)) valid = false;
  });
  if (ips.length > 2) out.push(cause.invalid(IPS, ips, 'may only hold up to 2 values'));
  if (!valid) return;
  const twoFamilies = ips.length === 2 && new Set(ips.map(familyOf)).size === 2;
  if (ips.length > 1 && !twoFamilies) {
    out.push(cause.invalid(IPS, ips, 'may specify no more than one IP for each IP family'));
  }
  if (isHeadless(spec)) return;
  ips.forEach((ip, i) => {
    const family = spec.ipFamilies?.[i];
    if (!family || !FAMILIES.includes(family) || family === familyOf(ip)) return;
    out.push(cause.invalid(at(IPS, i), ip, `expected an ${family} value as indicated by \`ipFamilies[${i}]\``));
  });
};

/** A service that prefers two families and changed nothing about them is left as it is, whatever the cluster has now. */
const isSettled = (next: ServiceSpec, old: ServiceSpec | undefined): boolean =>
  old !== undefined &&
  next.ipFamilyPolicy === 'PreferDualStack' &&
  (old.ipFamilyPolicy ?? 'PreferDualStack') === 'PreferDualStack' &&
  old.type === next.type &&
  ['ClusterIP', 'NodePort', 'LoadBalancer'].includes(next.type ?? '') &&
  old.clusterIP === next.clusterIP &&
  same(old.clusterIPs, next.clusterIPs) &&
  same(old.ipFamilies, next.ipFamilies);

const reduced = (next: readonly string[] | undefined, old: readonly string[] | undefined): boolean =>
  next !== undefined && old !== undefined && old.length > next.length && next.length === 1 && next[0] === old[0];

/** An update may go back to one family, and says so by its policy. */
const checkReduced = (out: Causes, next: ServiceSpec, old: ServiceSpec): void => {
  if (next.ipFamilyPolicy === 'SingleStack') {
    if (same(old.clusterIPs, next.clusterIPs) && next.clusterIPs) next.clusterIPs = next.clusterIPs.slice(0, 1);
    if (same(old.ipFamilies, next.ipFamilies) && next.ipFamilies) next.ipFamilies = next.ipFamilies.slice(0, 1);
    return;
  }
  const release = (what: string) => `must be 'SingleStack' to release the secondary ${what}`;
  if (reduced(next.clusterIPs, old.clusterIPs))
    out.push(cause.invalid(POLICY, next.ipFamilyPolicy, release('cluster IP')));
  if (reduced(next.ipFamilies, old.ipFamilies))
    out.push(cause.invalid(POLICY, next.ipFamilyPolicy, release('IP family')));
};

const checkSingle = (out: Causes, spec: ServiceSpec): void => {
  if (spec.ipFamilyPolicy !== 'SingleStack') return;
  const several = (what: string) =>
    `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
  if (spec.clusterIPs?.length === 2) out.push(cause.invalid(POLICY, spec.ipFamilyPolicy, several('cluster IPs')));
  if (spec.ipFamilies?.length === 2) out.push(cause.invalid(POLICY, spec.ipFamilyPolicy, several('IP families')));
};

/** Families follow from the addresses that were asked for. */
const inferFamilies = (out: Causes, spec: ServiceSpec): void => {
  const families = [...(spec.ipFamilies ?? [])];
  for (const [i, ip] of (spec.clusterIPs ?? []).entries()) {
    if (ip === 'None') break;
    const family = familyOf(ip) ?? 'IPv4';
    if (i < families.length) continue;
    if (CONFIGURED.includes(family)) families.push(family);
    else out.push(cause.invalid(at(IPS, i), spec.clusterIPs, `${family} is not configured on this cluster`));
  }
  if (families.length > 0) spec.ipFamilies = families;
};

const checkConfigured = (out: Causes, spec: ServiceSpec): void => {
  if (spec.ipFamilyPolicy === 'RequireDualStack') {
    const detail = 'this cluster is not configured for dual-stack services';
    out.push(cause.invalid(POLICY, spec.ipFamilyPolicy, detail));
  }
  spec.ipFamilies?.forEach((family, i) => {
    if (!CONFIGURED.includes(family))
      out.push(cause.invalid(at('spec.ipFamilies', i), family, 'not configured on this cluster'));
  });
};

/** Who selects no pods and wants no address may have endpoints of both families, wherever they are. */
const bothFamilies = (spec: ServiceSpec): void => {
  const [first = 'IPv4', second] = spec.ipFamilies ?? [];
  const other = first === 'IPv4' ? 'IPv6' : 'IPv4';
  spec.ipFamilies = second ? [first, second] : spec.ipFamilyPolicy === 'SingleStack' ? [first] : [first, other];
};

/**
 * Fills in ipFamilies and ipFamilyPolicy of a service about to be stored. Causes refuse it before anything else about it
 * is looked at.
 */
export const initFamilies = (service: Service, before: Service | undefined): Cause[] => {
  const { spec } = service;
  const old = before?.spec;
  if (!spec || spec.type === 'ExternalName' || isSettled(spec, old)) return [];
  const alone = spec.clusterIP === 'None' && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (alone ? 'RequireDualStack' : 'SingleStack');
  const out: Causes = [];
  checkAddresses(out, spec);
  if (out.length > 0) return out;
  if (old) checkReduced(out, spec, old);
  checkSingle(out, spec);
  inferFamilies(out, spec);
  if (out.length > 0) return out;
  if (alone) {
    bothFamilies(spec);
    return out;
  }
  checkConfigured(out, spec);
  if (out.length === 0 && !spec.ipFamilies?.length) spec.ipFamilies = [...CONFIGURED];
  return out;
};
