import type { Reader } from '../../client/reader.ts';
import type { Pod, Service, ServicePort } from '../../machinery/kinds.d.ts';
import { keyOf, type ObjectKey } from '../../machinery/object.ts';
import type { WatchedChange } from '../controller.ts';
import { isReady, isTerminating } from '../pods.ts';
import { pods, services } from '../resources.ts';
import { selectsMap } from '../selector.ts';
import { sameJson } from '../status-patch.ts';

export interface BackendPort {
  name: string;
  protocol: string;
  port: number;
  appProtocol?: string;
}

export const isHeadless = (service: Service): boolean => service.spec?.clusterIP === 'None';
export const hasSelector = (service: Service): boolean => service.spec?.selector !== undefined;

/** The pod has an address and is not finished. */
export const isBackend = (pod: Pod): boolean =>
  pod.status?.podIP !== undefined && pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed';

const portNumber = (pod: Pod, port: ServicePort): number | undefined => {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target === 0 ? port.port : target;
  const protocol = port.protocol ?? 'TCP';
  const sidecars = (pod.spec?.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    for (const { name, containerPort, protocol: own } of container.ports ?? []) {
      if (name === target && (own ?? 'TCP') === protocol) return containerPort;
    }
  }
  return undefined;
};

/** The service's ports as this pod offers them: a named target port may differ from pod to pod, or be missing. */
export const portsOf = (service: Service, pod: Pod): BackendPort[] => {
  const found: BackendPort[] = [];
  for (const port of service.spec?.ports ?? []) {
    const number = portNumber(pod, port);
    if (number === undefined) continue;
    found.push({
      name: port.name ?? '',
      protocol: port.protocol ?? 'TCP',
      port: number,
      ...(port.appProtocol !== undefined && { appProtocol: port.appProtocol }),
    });
  }
  return found;
};

/** The pod's own DNS name below a headless service. */
export const hostnameOf = (service: Service, pod: Pod): string | undefined =>
  pod.spec?.hostname &&
  pod.spec.subdomain === service.metadata.name &&
  pod.metadata.namespace === service.metadata.namespace
    ? pod.spec.hostname
    : undefined;

/** When the pod last became ready or not, RFC 3339; what an endpoint's change is dated by. */
export const triggerOf = (pod: Pod): string | undefined =>
  pod.status?.conditions?.find((condition) => condition.type === 'Ready')?.lastTransitionTime;

export const selectedPods = (read: Reader, service: Service): Promise<readonly Pod[]> =>
  read.list<Pod>(pods, {
    namespace: service.metadata.namespace ?? '',
    matches: selectsMap(service.spec?.selector),
  });

/** What endpoints show of a pod; a change of anything else wakes nobody. */
const visible = (pod: Pod) => [
  pod.metadata.labels,
  pod.status?.podIP,
  pod.status?.podIPs,
  pod.status?.phase,
  pod.spec?.nodeName,
  isReady(pod),
  isTerminating(pod),
];

/** The services whose endpoints a change of a pod may touch. */
export const servicesOfPod = async (change: WatchedChange, read: Reader): Promise<string[]> => {
  const pod = change.object as Pod;
  const previous = change.previous as Pod | undefined;
  if (previous && !change.deleted && sameJson(visible(pod), visible(previous))) return [];
  if (!isBackend(pod) && !(previous && isBackend(previous))) return [];
  const namespace = pod.metadata.namespace ?? '';
  const keys: string[] = [];
  for (const service of await read.list<Service>(services, { namespace })) {
    const matches = selectsMap(service.spec?.selector);
    if (!matches(pod.metadata.labels) && !matches(previous?.metadata.labels)) continue;
    keys.push(keyOf(namespace, service.metadata.name ?? ''));
  }
  return keys;
};

export const readService = (read: Reader, key: ObjectKey): Promise<Service | undefined> =>
  read.get<Service>(services, key.namespace, key.name);
