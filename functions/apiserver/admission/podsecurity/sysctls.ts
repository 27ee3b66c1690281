import type { Check, CheckedPod, CheckPod } from './check.ts';

const sysctls =
  (allowed: ReadonlySet<string>): CheckPod =>
  ({ spec }: CheckedPod) => {
    const odd = (spec.securityContext?.sysctls ?? []).map((one) => one.name).filter((name) => !allowed.has(name));
    return odd.length ? { reason: 'forbidden sysctls', detail: odd.join(', ') } : undefined;
  };

const at0 = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
];
const at27 = [...at0, 'net.ipv4.ip_local_reserved_ports'];
const at29 = [
  ...at27,
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
];
const at32 = [...at29, 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem'];

/** Kernel parameters that reach no further than the pod. */
export const sysctlChecks: readonly Check[] = [
  {
    id: 'sysctls',
    level: 'baseline',
    versions: [
      { from: 0, check: sysctls(new Set(at0)) },
      { from: 27, check: sysctls(new Set(at27)) },
      { from: 29, check: sysctls(new Set(at29)) },
      { from: 32, check: sysctls(new Set(at32)) },
    ],
  },
];
