// Every verb and path of one cluster, tried with every credential of another and of its own lesser users.
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateScope } from '../apiserver/authn/certificate-scope.ts';
import type { ConnectionInfo } from '../apiserver/context.ts';
import { builtinResources } from '../apiserver/registry-builtin.ts';
import { createUpgrades } from '../apiserver/upgrade.ts';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { CLUSTERS_PATH, createTestProcess, OPERATOR } from './server-for-tests.ts';

const clock = createSystemClock();
const store = createMemoryStore();
type TestProcess = Awaited<ReturnType<typeof createTestProcess>>;
type Credential = { token?: string; connection?: ConnectionInfo };
let plane: TestProcess;
const credentials: Record<string, Credential> = {};
const SECRET = 'only-team-a-knows-this';

const accountToken = async (
  cluster: string,
  namespace: string,
  name: string,
  audience = 'https://k',
): Promise<string> => {
  const base = `/clusters/${cluster}/api/v1/namespaces/${namespace}/serviceaccounts`;
  await plane.send('POST', base, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience] } };
  const { status, body } = await plane.send('POST', `${base}/${name}/token`, request);
  expect(status, JSON.stringify(body)).toBe(201);
  return body.status.token;
};
const bootstrapToken = async (cluster: string): Promise<string> => {
  const [id, secret] = [`machi${cluster}`, '0123456789abcdef'];
  const { status } = await plane.send('POST', `/clusters/${cluster}/api/v1/namespaces/kube-system/secrets`, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `bootstrap-token-${id}` },
    type: 'bootstrap.kubernetes.io/token',
    stringData: { 'token-id': id, 'token-secret': secret, 'usage-bootstrap-authentication': 'true' },
  });
  expect(status).toBe(201);
  return `${id}.${secret}`;
};
const certificate = (cluster: string, commonName: string, organizations: string[]): ConnectionInfo => {
  const scope = certificateScope(cluster, plane.fleet.uidOf(cluster));
  return {
    clientCertificate: { commonName, organizations, fingerprint: hash('sha256', commonName), ...(scope && { scope }) },
  };
};
const grant = (cluster: string, name: string, role: string, account: string) =>
  plane.send('POST', `/clusters/${cluster}/apis/rbac.authorization.k8s.io/v1/clusterrolebindings`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: account }],
  });

interface Case {
  method: string;
  path: string;
  body?: object;
}

/** Requests of every verb to every resource and subresource that is served, and to what is served besides. */
const requestsOf = (cluster: string): Case[] => {
  const root = `/clusters/${cluster}`;
  const out: Case[] = [];
  for (const r of builtinResources()) {
    const group = r.group ? `/apis/${r.group}/${r.version}` : `/api/${r.version}`;
    const plural = `${root}${group}${r.namespaced ? '/namespaces/default' : ''}/${r.resource}`;
    const object = {
      apiVersion: r.group ? `${r.group}/${r.version}` : r.version,
      kind: r.kind,
      metadata: { name: 'x' },
    };
    out.push({ method: 'GET', path: plural }, { method: 'GET', path: `${plural}?watch=true&timeoutSeconds=1` });
    out.push({ method: 'POST', path: plural, body: object }, { method: 'DELETE', path: plural });
    for (const path of [`${plural}/x`, ...[...r.subresources.keys()].map((sub) => `${plural}/x/${sub}`)])
      for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'POST'])
        out.push({ method, path, ...(method !== 'GET' && method !== 'DELETE' && { body: object }) });
    if (r.namespaced) out.push({ method: 'GET', path: `${root}${group}/${r.resource}` });
  }
  for (const path of [
    '/',
    '/api',
    '/apis',
    '/apis/apps/v1',
    '/openapi/v2',
    '/openapi/v3',
    '/metrics',
    '/logs',
    '/openid/v1/jwks',
  ])
    out.push({ method: 'GET', path: `${root}${path}` });
  out.push({ method: 'GET', path: `${root}/.well-known/openid-configuration` });
  return out;
};

beforeAll(async () => {
  plane = await createTestProcess(store, clock, true);
  for (const cluster of ['a', 'b']) {
    expect((await plane.makeCluster(cluster)).status).toBe(201);
    const namespaces = `/clusters/${cluster}/api/v1/namespaces`;
    await plane.send('POST', `${namespaces}/default/secrets`, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { word: cluster === 'a' ? SECRET : 'other' },
    });
    await plane.send('POST', `/clusters/${cluster}/api/v1/nodes`, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n' },
    });
    credentials[`admin of ${cluster}`] = { token: plane.authority.mintAdminToken(cluster) };
    credentials[`node of ${cluster}`] = { token: plane.authority.mintNodeToken(cluster, 'n') };
    credentials[`account of ${cluster}`] = { token: await accountToken(cluster, 'default', 'plain') };
    credentials[`cluster-admin account of ${cluster}`] = { token: await accountToken(cluster, 'default', 'root') };
    await grant(cluster, 'root', 'cluster-admin', 'root');
    const masters = certificate(cluster, 'boss', ['system:masters']);
    credentials[`certificate of ${cluster}`] = { connection: masters };
    credentials[`node certificate of ${cluster}`] = {
      connection: certificate(cluster, 'system:node:n', ['system:nodes']),
    };
  }
  // Of the very cluster, for somebody else; and one with which machines ask for their first certificate.
  credentials['account of a, for others'] = { token: await accountToken('a', 'default', 'root', 'https://other') };
  for (const cluster of ['a', 'b'])
    credentials[`bootstrapper of ${cluster}`] = { token: await bootstrapToken(cluster) };
  credentials['certificate of default'] = { connection: certificate('default', 'boss', ['system:masters']) };
  credentials.nobody = {};
  credentials.forged = { token: 'e30.e30.e30' };
});
afterAll(async () => {
  await plane.close();
  expect(plane.faults).toEqual([]);
});

/** What a connection that asks to leave HTTP is told: the answer's head and body. */
const upgrade = (path: string, { token, connection = {} }: Credential, method = 'GET'): Promise<string> =>
  new Promise((resolve) => {
    let told = '';
    const socket = new Duplex({
      read: () => undefined,
      write: (chunk, _encoding, done) => {
        told += chunk;
        done();
      },
      final: (done) => {
        done();
        resolve(told);
      },
    });
    const headers = { upgrade: 'websocket', connection: 'upgrade', ...(token && { authorization: `Bearer ${token}` }) };
    const request = { method, url: path, headers, rawHeaders: Object.entries(headers).flat() };
    const asked = request as unknown as IncomingMessage;
    void createUpgrades(plane.api.server, undefined).handle(asked, socket, Buffer.alloc(0), connection);
  });

const strangers = () => Object.keys(credentials).filter((name) => !name.endsWith(' of a'));

describe('a cluster', () => {
  it('is closed to every credential of another, at every path, with every verb', async () => {
    const wrong: string[] = [];
    const requests = requestsOf('a');
    expect(requests.length).toBeGreaterThan(500);
    expect(strangers()).toHaveLength(11);
    const before = await Promise.all((await store.domains('a')).map((domain) => store.head(domain)));
    for (const name of strangers())
      for (const { method, path, body } of requests) {
        const answer = await plane.send(method, path, body, credentials[name]);
        if (answer.status !== 401 || JSON.stringify(answer.body).includes(SECRET))
          wrong.push(`${name}: ${method} ${path}: ${answer.status}`);
      }
    expect(wrong).toEqual([]);
    expect(await Promise.all((await store.domains('a')).map((domain) => store.head(domain)))).toEqual(before);
  }, 60_000);

  it('is closed to them where they ask to leave HTTP, and as much there as one that is not', async () => {
    const pod = '/api/v1/namespaces/default/pods/x';
    const paths = ['exec', 'attach', 'portforward', 'proxy', 'proxy/a', 'log', ''].map((sub) => `${pod}/${sub}`);
    paths.push('/api/v1/nodes/n/proxy/', '/skiff/v1/nodes/n/tunnel', '/skiff/v1/tunnels/x', '/api/v1/pods?watch=1');
    for (const name of strangers())
      for (const path of paths)
        for (const method of ['GET', 'POST']) {
          const asked = async (cluster: string) =>
            (await upgrade(`/clusters/${cluster}${path}`, credentials[name] ?? {}, method)).replace(/Audit-Id: .*/, '');
          expect(await asked('a'), `${name} ${method} ${path}`).toMatch(/^HTTP\/1.1 401 /);
          expect(await asked('never-made'), `${name} ${method} ${path}`).toBe(await asked('a'));
        }
  });

  it('is closed to them under whatever spelling of its paths', async () => {
    const secrets = '/api/v1/namespaces/default/secrets';
    const spellings = [
      `/clusters/a${secrets}/s/`,
      `/clusters/a/${secrets}/s`,
      `//clusters/a${secrets}/s`,
      `/clusters//a${secrets}/s`,
      `/clusters/b/clusters/a${secrets}/s`,
      `/clusters/b/../a${secrets}/s`,
      `/clusters/b/%2e%2e/a${secrets}/s`,
      `/clusters/b%2f..%2fa${secrets}/s`,
      `/clusters/b${secrets}/..%2f..%2f..%2f..%2fa${secrets}/s`,
      `/clusters/A${secrets}/s`,
      `/Clusters/a${secrets}/s`,
      `/clusters/%61${secrets}/s`,
      `/clusters/a;b${secrets}/s`,
      `/clusters/b${secrets}?cluster=a`,
      `/clusters/a/api/v1/watch/namespaces/default/secrets`,
      `/clusters/a/api/v1/watch/secrets?timeoutSeconds=1`,
      `/clusters/a${secrets}?watch=1&timeoutSeconds=1&resourceVersion=0&sendInitialEvents=true`,
      `/clusters/a${secrets}?continue=x`,
      `/clusters/a/openapi/v3/api/v1`,
      `/clusters/a/metrics/slis`,
      `/clusters/a/debug/api_priority_and_fairness/dump_requests`,
      `/clusters/a/skiff.dev/keys`,
      `/clusters/a/skiff/v1/join`,
    ];
    const bytes = async () => new Uint8Array();
    for (const name of strangers())
      for (const path of spellings)
        for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', '__proto__', 'constructor']) {
          const request = {
            method,
            url: `https://x${path}`,
            headers: new Headers(),
            signal: AbortSignal.timeout(5000),
            bytes,
          };
          const { token, connection } = credentials[name] ?? {};
          if (token) request.headers.set('authorization', `Bearer ${token}`);
          const answer = await plane.api.fetch(request as unknown as Request, connection);
          const text = await answer.text();
          expect(text, `${name} ${method} ${path}`).not.toContain(Buffer.from(SECRET).toString('base64'));
          if (/^\/clusters\/a\//.test(path)) expect(answer.status, `${name} ${method} ${path}`).toBe(401);
        }
  });

  it('is open to its own, by what each may', async () => {
    const asked = async (name: string, path: string) =>
      (await plane.send('GET', `/clusters/a${path}`, undefined, credentials[name])).status;
    const secret = '/api/v1/namespaces/default/secrets/s';
    for (const name of ['admin of a', 'cluster-admin account of a', 'certificate of a'])
      expect(await asked(name, secret), name).toBe(200);
    for (const name of ['node of a', 'account of a', 'node certificate of a', 'bootstrapper of a'])
      expect(await asked(name, secret), name).toBe(403);
    for (const name of ['node of a', 'node certificate of a'])
      expect(await asked(name, '/api/v1/nodes/n'), name).toBe(200);
    // Neither reads the other's secret under the same name.
    const { body } = await plane.send('GET', `/clusters/b${secret}`, undefined, credentials['admin of b']);
    expect(JSON.stringify(body)).not.toContain(Buffer.from(SECRET).toString('base64'));
  });

  it('keeps its lesser users from what is not theirs', async () => {
    const wrong: string[] = [];
    for (const name of ['account of a', 'node of a', 'node certificate of a'])
      for (const { method, path, body } of requestsOf('a').filter(({ path }) => path.includes('/secrets'))) {
        const answer = await plane.send(method, path, body, credentials[name]);
        // A name that nothing is served under is not there, whoever asks.
        if (![403, 404, 405].includes(answer.status)) wrong.push(`${name}: ${method} ${path}: ${answer.status}`);
      }
    expect(wrong).toEqual([]);
  });
});

describe("the operator's clusters", () => {
  const paths = [
    CLUSTERS_PATH,
    `${CLUSTERS_PATH}/a`,
    `${CLUSTERS_PATH}/b/status`,
    '/clusters/system/api/v1/secrets',
    '/clusters/default/api/v1/secrets',
    '/api/v1/secrets',
    '/metrics',
    '/',
  ];
  it('are closed to tenants', async () => {
    for (const name of Object.keys(credentials).filter((n) => / of [ab]$/.test(n)))
      for (const path of paths)
        for (const method of ['GET', 'POST', 'PATCH', 'DELETE'])
          expect(
            (await plane.send(method, path, undefined, credentials[name])).status,
            `${name} ${method} ${path}`,
          ).toBe(401);
  });

  it('are closed in `system` to certificates of `default`, and all open to the operator', async () => {
    const connection = credentials['certificate of default'] as Credential;
    expect((await plane.send('GET', CLUSTERS_PATH, undefined, connection)).status).toBe(401);
    expect((await plane.send('GET', '/api/v1/secrets', undefined, connection)).status).toBe(200);
    for (const cluster of ['system', 'default', 'a', 'b'])
      expect(
        (await plane.send('GET', `/clusters/${cluster}/api/v1/secrets`, undefined, { token: OPERATOR })).status,
      ).toBe(200);
  });

  it('show nothing of other clusters in numbers', async () => {
    for (const cluster of ['a', 'b']) {
      const by = credentials[`admin of ${cluster}`];
      expect((await plane.send('GET', `/clusters/${cluster}/metrics`, undefined, by)).status).toBe(404);
      expect((await plane.send('GET', `/clusters/${cluster}/apis/skiff.dev/v1/clusters`, undefined, by)).status).toBe(
        404,
      );
      const groups = (await plane.send('GET', `/clusters/${cluster}/apis`, undefined, by)).body.groups;
      expect(groups.map((g: { name: string }) => g.name)).not.toContain('skiff.dev');
    }
    // What one cluster writes moves no revision of another.
    const version = async () =>
      (await plane.send('GET', '/clusters/b/api/v1/configmaps', undefined, credentials['admin of b'])).body.metadata
        .resourceVersion;
    const before = await version();
    for (let i = 0; i < 5; i++)
      await plane.send('POST', '/clusters/a/api/v1/namespaces/default/configmaps', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: `m${i}` },
      });
    expect(await version()).toBe(before);
  });

  it('take a definition of one cluster for no kind of another', async () => {
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'clusters.skiff.dev' },
      spec: {
        group: 'skiff.dev',
        names: { plural: 'clusters', kind: 'Cluster' },
        scope: 'Cluster',
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    };
    const by = credentials['admin of b'];
    const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    expect((await plane.send('POST', `/clusters/b${definitions}`, definition, by)).status).toBe(201);
    const own = { apiVersion: 'skiff.dev/v1', kind: 'Cluster', metadata: { name: 'mine' } };
    await expect
      .poll(async () => (await plane.send('POST', '/clusters/b/apis/skiff.dev/v1/clusters', own, by)).status)
      .toBe(201);
    expect((await plane.send('GET', '/clusters/mine/version', undefined, by)).status).toBe(401);
    expect((await plane.send('GET', `${CLUSTERS_PATH}/mine`)).status).toBe(404);
  });
});
