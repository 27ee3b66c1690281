import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import type { Pod } from '../../machinery/kinds.d.ts';
import { badRequest, genericFailure, notFound, serviceUnavailable } from '../../machinery/status.ts';
import type { Call, Server } from '../context.ts';
import type { RequestInfo } from '../request-info.ts';
import { parseStored } from '../stored-object.ts';

/** The pod that a path names, and the container that is meant ('' for portforward). Throws 404, or 400 where a container must be named. */
export const podAndContainer = async (
  server: Server,
  info: RequestInfo,
): Promise<{ pod: Pod; container: string; node: string }> => {
  const stored = await server.store.get(
    { cluster: info.cluster, group: '', resource: 'pods' },
    `${info.namespace}/${info.name}`,
  );
  const resource = server.registry.find(info.cluster, '', 'v1', 'pods');
  if (!stored || !resource) throw notFound({ group: '', kind: 'pods', name: info.name });
  const pod = parseStored(resource, stored.bytes) as unknown as Pod;
  const node = pod.spec?.nodeName ?? '';
  if (!node) throw badRequest(`pod ${info.name} does not have a host assigned`);
  const container = info.subresource === 'portforward' ? '' : containerOf(pod, info.query.get('container') ?? '');
  return { pod, container, node };
};

const containerOf = (pod: Pod, wanted: string): string => {
  const all = [
    ...(pod.spec?.initContainers ?? []),
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.ephemeralContainers ?? []),
  ];
  const name = pod.metadata.name ?? '';
  if (wanted !== '') {
    if (all.some((c) => c.name === wanted)) return wanted;
    throw badRequest(`container ${wanted} is not valid for pod ${name}`);
  }
  const annotated = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  if (annotated && all.some((c) => c.name === annotated)) return annotated;
  const [first, second] = pod.spec?.containers ?? [];
  if (first && !second) return first.name;
  const names = (pod.spec?.containers ?? []).map((c) => c.name).join(' ');
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names}]`);
};

const DIAL_MS = 30_000;

export const dialNode = (server: Server, cluster: string, node: string): Promise<Duplex> => {
  if (!server.dialer) throw serviceUnavailable('this server reaches no nodes');
  return server.dialer.dial(cluster, node);
};

/**
 * A connection to a port of a pod on a node, or of the node itself, made inside the node's network by its agent
 * (agent/server/dial.ts). Rejects with what the agent says where nothing answers there.
 */
export const dialAddress = async (
  server: Server,
  cluster: string,
  node: string,
  ip: string,
  port: string,
): Promise<Duplex> => {
  const connection = await dialNode(server, cluster, node);
  return new Promise((resolve, reject) => {
    const sent = request({
      path: `/dial/${encodeURIComponent(ip)}/${encodeURIComponent(port)}`,
      headers: { host: 'node', connection: 'Upgrade', upgrade: 'tcp' },
      createConnection: () => connection,
    });
    const timer = setTimeout(() => sent.destroy(new Error(`dial tcp ${ip}:${port}: i/o timeout`)), DIAL_MS);
    sent.on('upgrade', (_answer, socket, head) => {
      clearTimeout(timer);
      if (head.length) socket.unshift(head);
      resolve(socket);
    });
    sent.on('response', (answer) => {
      clearTimeout(timer);
      textOf(answer).then((text) => reject(new Error(text || `HTTP ${answer.statusCode}`)), reject);
    });
    sent.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    sent.end();
  });
};

/** One HTTP/1.1 request to the agent of a node, over a connection of its own. Resolves with its answer's head. */
export const askNode = (
  connection: Duplex,
  options: { method: string; path: string; headers?: Record<string, string>; body?: Uint8Array; signal: AbortSignal },
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const sent: ClientRequest = request({
      method: options.method,
      path: options.path,
      headers: { host: 'node', ...options.headers },
      createConnection: () => connection,
    });
    const abort = () => sent.destroy();
    options.signal.addEventListener('abort', abort, { once: true });
    sent.on('response', (response) => {
      response.on('close', () => options.signal.removeEventListener('abort', abort));
      resolve(response);
    });
    sent.on('error', reject);
    sent.end(options.body);
  });

const textOf = async (response: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const chunk of response) text += chunk;
  return text.trim();
};

const LOG_FLAGS = ['follow', 'previous', 'timestamps'];
const LOG_VALUES = ['tailLines', 'sinceSeconds', 'sinceTime', 'limitBytes'];

/** The query that a node is asked for logs with: flags may come as 1, numbers stay as they are. */
export const logQuery = (query: URLSearchParams): string => {
  const out = new URLSearchParams();
  for (const name of [...LOG_FLAGS, ...LOG_VALUES]) {
    const value = query.get(name);
    if (value !== null && value !== '') out.set(name, value === '1' && LOG_FLAGS.includes(name) ? 'true' : value);
  }
  const text = out.toString();
  return text ? `?${text}` : '';
};

const hasStarted = (pod: Pod, container: string): boolean => {
  const all = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
    ...(pod.status?.ephemeralContainerStatuses ?? []),
  ];
  const status = all.find((c) => c.name === container);
  return Boolean(status?.state?.running || status?.state?.terminated || status?.lastState?.terminated);
};

/** GET pods/{name}/log. */
export const log = async (call: Call): Promise<Response> => {
  const { server, info, request: asked } = call;
  const { pod, container, node } = await podAndContainer(server, info);
  if (!hasStarted(pod, container)) {
    const reason = pod.status?.containerStatuses?.find((c) => c.name === container)?.state?.waiting?.reason;
    throw badRequest(
      `container "${container}" in pod "${info.name}" is waiting to start: ${reason ?? 'ContainerCreating'}`,
    );
  }
  const connection = await dialNode(server, info.cluster, node);
  const path = `/containerLogs/${info.namespace}/${info.name}/${container}${logQuery(info.query)}`;
  const answer = await askNode(connection, { method: 'GET', path, signal: asked.signal });
  if ((answer.statusCode ?? 500) >= 400) {
    const text = await textOf(answer);
    throw answer.statusCode === 404 ? genericFailure(404, 'NotFound', text) : badRequest(text);
  }
  const body = Readable.toWeb(answer) as unknown as ReadableStream<Uint8Array>;
  return new Response(body, { headers: { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' } });
};
