import type { ServiceRule, Target } from './services.ts';

/**
 * nftables scripts of the service proxy: one table, two verdict maps that lead an address or node port to its service's
 * chain, a chain per service and per endpoint. A change touches only the chains and elements it concerns.
 */
export const TABLE = 'skiff-proxy';
/** Marks packets that must leave with the node's address: hairpins, and node port traffic from outside. */
const MASQUERADE = '0x4000';

const endpointChain = (rule: ServiceRule, t: Target): string => `ep-${rule.id}-${t.ip}-${t.port}`;
const affinitySet = (rule: ServiceRule, t: Target): string => `aff-${rule.id}-${t.ip}-${t.port}`;
const internalChain = (rule: ServiceRule): string => `svc-${rule.id}`;
const externalChain = (rule: ServiceRule): string => `ext-${rule.id}`;

/** The table with everything that does not depend on services. Replaces whatever was there, in one transaction. */
export const baseScript = (podCidr: string): string => `add table ip ${TABLE}
delete table ip ${TABLE}
table ip ${TABLE} {
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  map node-ports { type inet_proto . inet_service : verdict; }
  set no-endpoints { type ipv4_addr . inet_proto . inet_service; }
  set no-endpoint-ports { type inet_proto . inet_service; }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @node-ports
  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain output { type nat hook output priority -100; policy accept; jump services; }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark and ${MASQUERADE} == ${MASQUERADE} masquerade
    ip saddr ${podCidr} ip daddr != { 10.244.0.0/16, 10.96.0.0/16, 100.96.0.0/16, 224.0.0.0/4 } masquerade
  }
  chain refuse {
    ip daddr . meta l4proto . th dport @no-endpoints reject
    fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport @no-endpoint-ports reject
  }
  chain refuse-forward { type filter hook forward priority -5; policy accept; ct state new jump refuse; }
  chain refuse-output { type filter hook output priority -5; policy accept; ct state new jump refuse; }
  chain refuse-input { type filter hook input priority -5; policy accept; ct state new jump refuse; }
}
`;

interface Parts {
  /** Chain name -> its rules, in order. */
  chains: Map<string, string[]>;
  /** Set name -> its definition. */
  sets: Map<string, string>;
  /** `map or set` -> element -> verdict ('' in a set). */
  elements: Map<string, Map<string, string>>;
}

const choose = (rule: ServiceRule, targets: Target[]): string[] => {
  const lines: string[] = [];
  if (rule.affinitySeconds > 0) {
    for (const t of targets) lines.push(`ip saddr @${affinitySet(rule, t)} goto ${endpointChain(rule, t)}`);
  }
  const verdicts = targets.map((t, i) => `${i} : goto ${endpointChain(rule, t)}`);
  lines.push(`numgen random mod ${targets.length} vmap { ${verdicts.join(', ')} }`);
  return lines;
};

const addEndpoints = (parts: Parts, rule: ServiceRule): void => {
  for (const t of [...rule.internal, ...rule.external]) {
    const chain = endpointChain(rule, t);
    if (parts.chains.has(chain)) continue;
    const lines = [`ip saddr ${t.ip} meta mark set meta mark or ${MASQUERADE}`];
    if (rule.affinitySeconds > 0) {
      const set = affinitySet(rule, t);
      parts.sets.set(set, `type ipv4_addr; flags dynamic,timeout; timeout ${rule.affinitySeconds}s;`);
      lines.push(`update @${set} { ip saddr }`);
    }
    lines.push(`meta l4proto ${rule.protocol} dnat to ${t.ip}:${t.port}`);
    parts.chains.set(chain, lines);
  }
};

const partsOf = (rules: readonly ServiceRule[]): Parts => {
  const parts: Parts = { chains: new Map(), sets: new Map(), elements: new Map() };
  const element = (where: string, key: string, verdict: string) => {
    const map = parts.elements.get(where) ?? new Map<string, string>();
    parts.elements.set(where, map.set(key, verdict));
  };
  for (const rule of rules) {
    addEndpoints(parts, rule);
    if (rule.internal.length > 0) parts.chains.set(internalChain(rule), choose(rule, rule.internal));
    for (const ip of rule.ips) {
      const key = `${ip} . ${rule.protocol} . ${rule.port}`;
      if (rule.internal.length > 0) element('service-ips', key, `goto ${internalChain(rule)}`);
      else element('no-endpoints', key, '');
    }
    if (rule.nodePort === 0) continue;
    const key = `${rule.protocol} . ${rule.nodePort}`;
    if (rule.external.length === 0) {
      element('no-endpoint-ports', key, '');
      continue;
    }
    const mark = rule.preserveSource ? [] : [`meta mark set meta mark or ${MASQUERADE}`];
    parts.chains.set(externalChain(rule), [...mark, ...choose(rule, rule.external)]);
    element('node-ports', key, `goto ${externalChain(rule)}`);
  }
  return parts;
};

const ELEMENTS = ['service-ips', 'node-ports', 'no-endpoints', 'no-endpoint-ports'];

/**
 * What takes the table from `previous` to `next`, to be run as one transaction; '' when they are equal. Order matters to
 * nft: chains and sets exist before what leads to them, and go after.
 */
export const updateScript = (previous: readonly ServiceRule[], next: readonly ServiceRule[]): string => {
  const before = partsOf(previous);
  const after = partsOf(next);
  const out: string[] = [];
  for (const [name, definition] of after.sets) {
    if (!before.sets.has(name)) out.push(`add set ip ${TABLE} ${name} { ${definition} }`);
  }
  for (const name of after.chains.keys()) if (!before.chains.has(name)) out.push(`add chain ip ${TABLE} ${name}`);
  for (const [name, lines] of after.chains) {
    const old = before.chains.get(name);
    if (old?.join('\n') === lines.join('\n')) continue;
    if (old) out.push(`flush chain ip ${TABLE} ${name}`);
    for (const line of lines) out.push(`add rule ip ${TABLE} ${name} ${line}`);
  }
  for (const where of ELEMENTS) {
    const old = before.elements.get(where) ?? new Map<string, string>();
    const fresh = after.elements.get(where) ?? new Map<string, string>();
    const gone = [...old].filter(([k, v]) => fresh.get(k) !== v).map(([k]) => k);
    const added = [...fresh].filter(([k, v]) => old.get(k) !== v).map(([k, v]) => (v ? `${k} : ${v}` : k));
    if (gone.length > 0) out.push(`delete element ip ${TABLE} ${where} { ${gone.join(', ')} }`);
    if (added.length > 0) out.push(`add element ip ${TABLE} ${where} { ${added.join(', ')} }`);
  }
  const goneChains = [...before.chains.keys()].filter((name) => !after.chains.has(name));
  for (const name of goneChains) out.push(`flush chain ip ${TABLE} ${name}`);
  for (const name of goneChains) out.push(`delete chain ip ${TABLE} ${name}`);
  for (const name of before.sets.keys()) if (!after.sets.has(name)) out.push(`delete set ip ${TABLE} ${name}`);
  return out.length > 0 ? `${out.join('\n')}\n` : '';
};

/** Connections of UDP flows and the like outlive their endpoint: the targets that are gone, for conntrack to forget. */
export const goneTargets = (previous: readonly ServiceRule[], next: readonly ServiceRule[]): Target[] => {
  const key = (t: Target) => `${t.ip}:${t.port}`;
  const udp = (rules: readonly ServiceRule[]) =>
    rules.filter((r) => r.protocol === 'udp').flatMap((r) => [...r.internal, ...r.external]);
  const still = new Set(udp(next).map(key));
  return [...new Map(udp(previous).map((t) => [key(t), t])).values()].filter((t) => !still.has(key(t)));
};
