import { timestamp } from '../../clock/clock.ts';
import type { APIService, EndpointSlice, Service } from '../../machinery/kinds.d.ts';
import { decode } from '../../store/decoded.ts';
import type { Server } from '../context.ts';
import { faultText } from '../outgoing/faults.ts';
import { newState, parseStored } from '../stored-object.ts';
import { askDocument, hostOf } from './ask.ts';
import { API_SERVICES, type Remote } from './remotes.ts';

/** One resource of another API server, as it lists it: meta/v1 APIResource. */
export interface ListedResource {
  name: string;
  singularName?: string;
  namespaced?: boolean;
  group?: string;
  version?: string;
  kind: string;
  verbs?: string[];
  shortNames?: string[];
  categories?: string[];
}

/** What a look at another API server found. */
export interface Finding {
  available: boolean;
  reason: string;
  message: string;
  /** What it serves, where it answered. */
  resources?: readonly ListedResource[];
  at: number;
}

const askMs = 5000;

const slicesOf = async (server: Server, cluster: string, { service }: Remote): Promise<EndpointSlice[]> => {
  const replica = await server.replicas.of({ cluster, group: 'discovery.k8s.io', resource: 'endpointslices' });
  await replica.fresh();
  const { namespace, name } = service;
  return replica
    .list({ namespace, matches: (_key, index) => index.labels['kubernetes.io/service-name'] === name })
    .map((stored) => decode(stored) as EndpointSlice);
};

const isServing = (slice: EndpointSlice, portName: string): boolean =>
  (slice.endpoints ?? []).some(({ conditions }) => conditions?.ready !== false) &&
  (slice.ports ?? []).some(({ name, port }) => (name ?? '') === portName && port !== undefined);

/** Why the service cannot be asked at all, in upstream's words; undefined where it can. */
const serviceFault = async (server: Server, cluster: string, remote: Remote): Promise<[string, string] | undefined> => {
  const { namespace, name, port } = remote.service;
  const what = `service/${name} in ${JSON.stringify(namespace)}`;
  const stored = await server.store.get({ cluster, group: '', resource: 'services' }, `${namespace}/${name}`);
  if (!stored) return ['ServiceNotFound', `${what} is not present`];
  const { spec } = decode(stored) as Service;
  if ((spec?.type ?? 'ClusterIP') !== 'ClusterIP') return undefined;
  const declared = spec?.ports?.find((one) => one.port === port);
  if (!declared) return ['ServicePortError', `${what} is not listening on port ${port}`];
  const slices = await slicesOf(server, cluster, remote);
  if (slices.length === 0) return ['EndpointsNotFound', `cannot find endpointslices for ${what}`];
  const portName = declared.name ?? '';
  if (slices.some((slice) => isServing(slice, portName))) return undefined;
  return [
    'MissingEndpoints',
    `endpointslices for ${what} have no addresses with port name ${JSON.stringify(portName)}`,
  ];
};

/** Looks whether another API server answers for its group version. Never rejects. */
export const lookAt = async (server: Server, cluster: string, remote: Remote): Promise<Finding> => {
  const at = server.clock.now();
  const fault = await serviceFault(server, cluster, remote);
  if (fault) return { available: false, reason: fault[0], message: fault[1], at };
  const path = `/apis/${remote.group}/${remote.version}`;
  try {
    const { body } = await askDocument(server, cluster, remote, path, askMs);
    const { resources } = body as { resources?: ListedResource[] };
    const listed = Array.isArray(resources) ? resources : [];
    return { available: true, reason: 'Passed', message: 'all checks passed', resources: listed, at };
  } catch (error) {
    const url = `https://${hostOf(remote)}:${remote.service.port}${path}`;
    const text = faultText(error);
    const why = text.startsWith('bad status') ? text : `Get "${url}": ${text}`;
    return {
      available: false,
      reason: 'FailedDiscoveryCheck',
      message: `failing or missing response from ${url}: ${why}`,
      at,
    };
  }
};

/** Writes the condition Available where it is not so already. A lost race is left to the next look. */
export const tell = async (server: Server, cluster: string, { name }: Remote, finding: Finding): Promise<void> => {
  const resource = server.registry.find(cluster, API_SERVICES.group, 'v1', API_SERVICES.resource);
  const domain = { cluster, ...API_SERVICES };
  const stored = await server.store.get(domain, name);
  if (!resource || !stored) return;
  const object = parseStored(resource, stored.bytes) as unknown as APIService;
  const status = finding.available ? 'True' : 'False';
  const { reason, message } = finding;
  const conditions = object.status?.conditions ?? [];
  const before = conditions.find(({ type }) => type === 'Available');
  if (before?.status === status && before.reason === reason && before.message === message) return;
  const lastTransitionTime =
    before?.status === status && before.lastTransitionTime ? before.lastTransitionTime : timestamp(server.clock.now());
  const now = { type: 'Available', status, lastTransitionTime, reason, message };
  const others = conditions.filter(({ type }) => type !== 'Available');
  object.status = { ...object.status, conditions: [...others, now] };
  const state = newState(resource, object as never);
  await server.store.commit(domain, [{ op: 'update', key: name, expected: stored.revision, ...state }]);
};
