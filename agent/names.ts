import type { Pod } from '../functions/machinery/kinds.d.ts';

export interface ClusterNames {
  clusterDns: string[];
  clusterDomain: string;
  /** The node's own resolver. */
  host: { servers: string[]; searches: string[]; options: string[] };
}
export interface DnsConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

const unique = (list: string[]): string[] => [...new Set(list)];

/** resolv.conf of a pod by dnsPolicy and dnsConfig; at most 3 servers and 32 searches, as kubelet caps them. */
export const podDns = (pod: Pod, names: ClusterNames): DnsConfig => {
  const policy = pod.spec?.dnsPolicy ?? 'ClusterFirst';
  const onHost = pod.spec?.hostNetwork === true;
  const cluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !onHost);
  const domain = names.clusterDomain;
  const base: DnsConfig =
    policy === 'None'
      ? { servers: [], searches: [], options: [] }
      : cluster && names.clusterDns.length > 0
        ? {
            servers: names.clusterDns,
            searches: [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain, ...names.host.searches],
            options: ['ndots:5'],
          }
        : names.host;
  const extra = pod.spec?.dnsConfig;
  const overrides = (extra?.options ?? []).map((o) =>
    o.value === undefined ? (o.name ?? '') : `${o.name}:${o.value}`,
  );
  const named = new Set(overrides.map((o) => o.split(':')[0]));
  return {
    servers: unique([...base.servers, ...(extra?.nameservers ?? [])]).slice(0, 3),
    searches: unique([...base.searches, ...(extra?.searches ?? [])]).slice(0, 32),
    options: [...base.options.filter((o) => !named.has(o.split(':')[0])), ...overrides],
  };
};

export const resolvConf = (dns: DnsConfig): string =>
  [
    ...(dns.searches.length ? [`search ${dns.searches.join(' ')}`] : []),
    ...dns.servers.map((server) => `nameserver ${server}`),
    ...(dns.options.length ? [`options ${dns.options.join(' ')}`] : []),
    '',
  ].join('\n');

/** Host name of the pod and its full name when it has a subdomain. At most 63 characters. */
export const podHostname = (pod: Pod, clusterDomain: string): { hostname: string; fqdn: string } => {
  const short = (pod.spec?.hostnameOverride ?? pod.spec?.hostname ?? pod.metadata.name ?? '')
    .slice(0, 63)
    .replace(/[-.]+$/, '');
  const subdomain = pod.spec?.subdomain;
  const fqdn = subdomain ? `${short}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : '';
  return { hostname: pod.spec?.setHostnameAsFQDN && fqdn ? fqdn : short, fqdn };
};

/**
 * The pod's /etc/hosts. A hostNetwork pod starts from the node's own file. The first line is kubelet's, by which programs
 * tell it from the image's own.
 */
export const hostsFile = (pod: Pod, ips: string[], clusterDomain: string, nodeHosts: string): string => {
  const { hostname, fqdn } = podHostname(pod, clusterDomain);
  const lines = pod.spec?.hostNetwork
    ? ['# Kubernetes-managed hosts file (host network).', nodeHosts.trimEnd()]
    : [
        '# Kubernetes-managed hosts file.',
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::0\tip6-localnet',
        'fe00::0\tip6-mcastprefix',
        'fe00::1\tip6-allnodes',
        'fe00::2\tip6-allrouters',
        ...ips.map((ip) => (fqdn ? `${ip}\t${fqdn}\t${hostname}` : `${ip}\t${hostname}`)),
      ];
  const aliases = (pod.spec?.hostAliases ?? []).map((a) => `${a.ip}\t${(a.hostnames ?? []).join('\t')}`);
  return `${[...lines, ...aliases].join('\n')}\n`;
};
