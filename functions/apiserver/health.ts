import type { Server } from './context.ts';
import type { RequestInfo } from './request-info.ts';

/**
 * /healthz, /livez and /readyz: named checks, one by path (`/livez/etcd`) or all with `?verbose` and `?exclude=name`.
 * Source: the reference page "Kubernetes API health endpoints".
 */

interface Check {
  name: string;
  /** Only asked for readiness. */
  readiness?: boolean;
  healthy(server: Server, cluster: string): Promise<boolean>;
  /** Only there where a server has the part; always where absent. */
  isPart?(server: Server): boolean;
}

const STORE_MS = 5_000;

const storeAnswers = async (server: Server, cluster: string): Promise<boolean> => {
  const late = new AbortController();
  const answered = server.store.head({ cluster, group: '', resource: 'namespaces' }).then(
    () => true,
    () => false,
  );
  const timeout = server.clock.sleep(STORE_MS, late.signal).then(
    () => false,
    () => false,
  );
  const healthy = await Promise.race([answered, timeout]);
  late.abort();
  return healthy;
};

/** Whether an object that every cluster is made with was there once: who deletes it later makes no server unhealthy. */
const seeded = (group: string, resource: string, name: string) => {
  const done = new WeakMap<Server, Set<string>>();
  return async (server: Server, cluster: string): Promise<boolean> => {
    if (done.get(server)?.has(cluster)) return true;
    const found = await server.store.get({ cluster, group, resource }, name).catch(() => undefined);
    if (!found) return false;
    const clusters = done.get(server) ?? new Set();
    done.set(server, clusters.add(cluster));
    return true;
  };
};

/** Informers are replicas here: one that loads is in sync. */
const replicaLoads = async (server: Server, cluster: string): Promise<boolean> => {
  const loaded = await server.replicas.of({ cluster, group: '', resource: 'namespaces' }).catch(() => undefined);
  return loaded !== undefined;
};

const RBAC = 'rbac.authorization.k8s.io';
/** In upstream's order, under upstream's names; checks of parts that do not exist here are left out. */
const CHECKS: readonly Check[] = [
  { name: 'ping', healthy: async () => true },
  { name: 'log', healthy: async () => true },
  { name: 'etcd', healthy: storeAnswers },
  { name: 'etcd-readiness', readiness: true, healthy: storeAnswers },
  {
    name: 'kms-providers',
    healthy: async (server) => (await server.kms?.healthy()) !== false,
    isPart: (server) => server.kms?.used() === true,
  },
  { name: 'informer-sync', readiness: true, healthy: replicaLoads },
  { name: 'poststarthook/start-system-namespaces-controller', healthy: seeded('', 'namespaces', 'kube-system') },
  { name: 'poststarthook/rbac/bootstrap-roles', healthy: seeded(RBAC, 'clusterroles', 'cluster-admin') },
  {
    name: 'poststarthook/scheduling/bootstrap-system-priority-classes',
    healthy: seeded('scheduling.k8s.io', 'priorityclasses', 'system-node-critical'),
  },
  { name: 'shutdown', readiness: true, healthy: async (server) => !server.closing?.() },
];

const text = (status: number, body: string, sniffing = false): Response =>
  new Response(body, {
    status,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-cache, private',
      ...(!sniffing && { 'x-content-type-options': 'nosniff' }),
    },
  });

const every = async (server: Server, info: RequestInfo, root: string, checks: readonly Check[]): Promise<Response> => {
  const excluded = new Set(info.query.getAll('exclude'));
  const lines: string[] = [];
  let failed = false;
  for (const check of checks) {
    if (excluded.delete(check.name)) lines.push(`[+]${check.name} excluded: ok`);
    else if (await check.healthy(server, info.cluster)) lines.push(`[+]${check.name} ok`);
    else {
      failed = true;
      lines.push(`[-]${check.name} failed: reason withheld`);
    }
  }
  if (excluded.size > 0) {
    const names = [...excluded].map((name) => JSON.stringify(name)).join(', ');
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`);
  }
  if (failed) return text(500, `${lines.join('\n')}\n${root} check failed\n`);
  return info.query.has('verbose') ? text(200, `${lines.join('\n')}\n${root} check passed\n`) : text(200, 'ok');
};

/** The answer to a health path, or undefined for a check that does not exist. */
export const health = async (server: Server, info: RequestInfo): Promise<Response | undefined> => {
  const [, root = '', ...rest] = info.path.split('/');
  const name = rest.join('/');
  const checks = CHECKS.filter((check) => (root === 'readyz' || !check.readiness) && check.isPart?.(server) !== false);
  if (name === '') return every(server, info, root, checks);
  const check = checks.find((c) => c.name === name);
  if (!check) return undefined;
  if (await check.healthy(server, info.cluster)) return text(200, 'ok', true);
  return text(500, `internal server error: ${name} failed: reason withheld\n`);
};

export const healthPaths: readonly string[] = ['healthz', 'livez', 'readyz'].flatMap((root) => [
  `/${root}`,
  ...CHECKS.filter((check) => (root === 'readyz' || !check.readiness) && !check.isPart).map(
    (check) => `/${root}/${check.name}`,
  ),
]);
