import type { Server } from '../context.ts';
import { aggregatorOf } from './aggregator.ts';
import { askDocument } from './ask.ts';
import type { Remote } from './remotes.ts';

/** Swagger of another API server, cut down to the groups that it answers for. */
export interface RemoteSwagger {
  paths: Record<string, unknown>;
  definitions: Record<string, unknown>;
}

interface Kept {
  at: number;
  shape: string;
  value: Promise<unknown>;
}

const askMs = 10_000;
/** Documents change rarely: they are asked for again after this long. */
const keptMs = 60_000;

const kept = new WeakMap<Server, Map<string, Kept>>();

/** A document of a remote, undefined where it has none; kept for a while. */
const documentOf = (server: Server, cluster: string, remote: Remote, path: string): Promise<unknown> => {
  let all = kept.get(server);
  if (!all) {
    all = new Map();
    kept.set(server, all);
  }
  const key = JSON.stringify([cluster, remote.name, path]);
  const shape = JSON.stringify(remote);
  const now = server.clock.now();
  const known = all.get(key);
  if (known && known.shape === shape && now - known.at < keptMs) return known.value;
  const value = askDocument(server, cluster, remote, path, askMs).then(
    ({ body }) => body,
    () => undefined,
  );
  all.set(key, { at: now, shape, value });
  return value;
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const availableOf = async (server: Server, cluster: string): Promise<Remote[]> =>
  (await aggregatorOf(server).of(cluster)).filter((remote) => remote.available);

/** Entries of the index of OpenAPI v3 for what is served elsewhere: `apis/{group}/{version}`. */
export const remoteIndex = async (
  server: Server,
  cluster: string,
  prefix: string,
): Promise<Record<string, { serverRelativeURL: string }>> => {
  const out: Record<string, { serverRelativeURL: string }> = {};
  for (const remote of await availableOf(server, cluster)) {
    const index = await documentOf(server, cluster, remote, '/openapi/v3');
    const name = `apis/${remote.group}/${remote.version}`;
    const entry = isObject(index) && isObject(index.paths) ? index.paths[name] : undefined;
    const url = isObject(entry) ? entry.serverRelativeURL : undefined;
    if (typeof url === 'string' && url.startsWith(`/openapi/v3/${name}`))
      out[name] = { serverRelativeURL: `${prefix}${url}` };
  }
  return out;
};

/** The Swagger documents of what is served elsewhere, in order. */
export const remoteSwaggers = async (server: Server, cluster: string): Promise<RemoteSwagger[]> => {
  const out: RemoteSwagger[] = [];
  for (const remote of await availableOf(server, cluster)) {
    const whole = await documentOf(server, cluster, remote, '/openapi/v2');
    if (!isObject(whole) || !isObject(whole.paths)) continue;
    const start = `/apis/${remote.group}/${remote.version}`;
    const own = Object.entries(whole.paths).filter(([path]) => path === start || path.startsWith(`${start}/`));
    out.push({
      paths: Object.fromEntries(own),
      definitions: isObject(whole.definitions) ? whole.definitions : {},
    });
  }
  return out;
};
