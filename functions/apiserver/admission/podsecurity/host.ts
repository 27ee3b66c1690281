import type { Container, LifecycleHandler, Probe } from '../../../machinery/kinds.d.ts';
import {
  type Check,
  type CheckedPod,
  containersOf,
  containersText,
  named,
  plural,
  quoted,
  sorted,
  type Violation,
} from './check.ts';

const namespaces = ({ spec }: CheckedPod): Violation | undefined => {
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field]);
  if (shared.length === 0) return undefined;
  return { reason: 'host namespaces', detail: shared.map((field) => `${field}=true`).join(', ') };
};

const paths = ({ spec }: CheckedPod): Violation | undefined => {
  const names = (spec.volumes ?? []).filter((volume) => volume.hostPath).map((volume) => volume.name);
  if (names.length === 0) return undefined;
  return { reason: 'hostPath volumes', detail: `${plural(names.length, 'volume')} ${quoted(names)}` };
};

const portsOf = ({ ports = [] }: Container): number[] =>
  ports.flatMap((port) => (port.hostPort ? [port.hostPort] : []));

const ports = (pod: CheckedPod): Violation | undefined => {
  const names = named(pod, (container) => portsOf(container).length > 0);
  if (names.length === 0) return undefined;
  const taken = sorted(containersOf(pod).flatMap(portsOf).map(String));
  const uses = plural(names.length, 'uses', 'use');
  return {
    reason: 'hostPort',
    detail: `${containersText(names)} ${uses} ${plural(taken.length, 'hostPort')} ${taken.join(', ')}`,
  };
};

const hostsOf = (container: Container): string[] => {
  const handlers: (Probe | LifecycleHandler | undefined)[] = [
    container.livenessProbe,
    container.readinessProbe,
    container.startupProbe,
    container.lifecycle?.postStart,
    container.lifecycle?.preStop,
  ];
  return handlers
    .flatMap((one) => [one?.httpGet?.host, one?.tcpSocket?.host])
    .filter((host) => host !== undefined && host !== '') as string[];
};

const probes = (pod: CheckedPod): Violation | undefined => {
  const names = sorted(named(pod, (container) => hostsOf(container).length > 0));
  if (names.length === 0) return undefined;
  const hosts = sorted(containersOf(pod).flatMap(hostsOf));
  const what = plural(hosts.length, 'probe or lifecycle host');
  return {
    reason: 'probe or lifecycle host',
    detail: `${containersText(names)} ${plural(names.length, 'uses', 'use')} ${what} ${quoted(hosts)}`,
  };
};

/** What of the node a pod may share: no namespace, path or port, and no probe of other hosts. */
export const hostChecks: readonly Check[] = [
  { id: 'hostNamespaces', level: 'baseline', versions: [{ from: 0, check: namespaces }] },
  { id: 'hostPathVolumes', level: 'baseline', versions: [{ from: 0, check: paths }] },
  { id: 'hostPorts', level: 'baseline', versions: [{ from: 0, check: ports }] },
  { id: 'hostProbesAndHostLifecycle', level: 'baseline', versions: [{ from: 34, check: probes }] },
];
