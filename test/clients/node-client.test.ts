// @kubernetes/client-node: informers, watches, server-side apply, exec, logs, and typed calls over HTTP/1.1.
import { PassThrough } from 'node:stream';
import {
  ApiException,
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  CustomObjectsApi,
  Exec,
  KubeConfig,
  KubernetesObjectApi,
  Log,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Pod,
  VersionApi,
  Watch,
} from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Server, startServer } from './server.ts';

const WAIT = { timeout: 20_000, interval: 50 };

describe('@kubernetes/client-node', () => {
  let server: Server;
  const config = new KubeConfig();
  let core: CoreV1Api;
  const namespace = 'node-client';
  const configMap = (name: string, data: Record<string, string> = {}): V1ConfigMap => ({
    metadata: { name, labels: { by: 'node' } },
    data,
  });
  const pod = (name: string): V1Pod => ({
    metadata: { name },
    spec: { containers: [{ name: 'main', image: 'example/main:1' }] },
  });
  const codeOf = (call: Promise<unknown>): Promise<number | undefined> =>
    call.then(
      () => undefined,
      (error: unknown) => (error instanceof ApiException ? error.code : -1),
    );
  const running = async (name: string): Promise<void> => {
    await core.createNamespacedPod({ namespace, body: pod(name) });
    await vi.waitFor(async () => {
      const { status } = await core.readNamespacedPod({ namespace, name });
      expect(status?.phase).toBe('Running');
    }, WAIT);
  };

  beforeAll(async () => {
    server = await startServer();
    config.loadFromFile(server.kubeconfig);
    core = config.makeApiClient(CoreV1Api);
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    await vi.waitFor(() => core.readNamespacedServiceAccount({ namespace, name: 'default' }), WAIT);
  });
  afterAll(() => server?.stop());

  it('creates, reads, lists, replaces, patches and deletes', async () => {
    const made = await core.createNamespacedConfigMap({ namespace, body: configMap('a', { n: '1' }) });
    expect(made.metadata?.creationTimestamp).toBeInstanceOf(Date);
    made.data = { n: '2' };
    const replaced = await core.replaceNamespacedConfigMap({ namespace, name: 'a', body: made });
    expect(replaced.data).toEqual({ n: '2' });
    expect(await codeOf(core.replaceNamespacedConfigMap({ namespace, name: 'a', body: made }))).toBe(409);
    expect(await codeOf(core.createNamespacedConfigMap({ namespace, body: configMap('a') }))).toBe(409);
    expect(await codeOf(core.createNamespacedConfigMap({ namespace, body: configMap('A_') }))).toBe(422);
    const merge = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    const patched = await core.patchNamespacedConfigMap({ namespace, name: 'a', body: { data: { m: '3' } } }, merge);
    expect(patched.data).toEqual({ n: '2', m: '3' });
    const { items } = await core.listNamespacedConfigMap({ namespace, labelSelector: 'by=node' });
    expect(items.map(({ metadata }) => metadata?.name)).toEqual(['a']);
    await core.deleteNamespacedConfigMap({ namespace, name: 'a' });
    expect(await codeOf(core.readNamespacedConfigMap({ namespace, name: 'a' }))).toBe(404);
    expect((await config.makeApiClient(VersionApi).getCode()).minor).toBe('36');
  });

  it('applies by kind without knowing it, with conflicts and force', async () => {
    const objects = KubernetesObjectApi.makeApiClient(config);
    const spec = (n: string) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'b', namespace },
      data: { n },
    });
    const apply = (n: string, manager: string, force = false) =>
      objects.patch(spec(n), undefined, undefined, manager, force, PatchStrategy.ServerSideApply);
    await apply('1', 'one');
    expect(await codeOf(apply('2', 'two'))).toBe(409);
    expect(await apply('2', 'two', true)).toMatchObject({ data: { n: '2' } });
    const read = await objects.read<V1ConfigMap>(spec(''));
    expect(read.metadata?.managedFields?.map(({ manager, operation }) => [manager, operation])).toContainEqual([
      'two',
      'Apply',
    ]);
    await objects.delete(spec(''));
  });

  it('informs of what there is, what comes, changes and goes, also after the server was restarted', async () => {
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'by=node' });
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const informer = makeInformer<V1ConfigMap>(config, path, list, 'by=node');
    const told: string[] = [];
    for (const event of ['add', 'update', 'delete'] as const)
      informer.on(event, (object: V1ConfigMap) => void told.push(`${event} ${object.metadata?.name}`));
    informer.on('error', () => void setTimeout(() => informer.start(), 200));
    await core.createNamespacedConfigMap({ namespace, body: configMap('before') });
    await informer.start();
    await core.createNamespacedConfigMap({ namespace, body: configMap('after') });
    await core.replaceNamespacedConfigMap({ namespace, name: 'after', body: configMap('after', { n: '2' }) });
    await core.deleteNamespacedConfigMap({ namespace, name: 'before' });
    await vi.waitFor(() => expect(told).toEqual(['add before', 'add after', 'update after', 'delete before']), WAIT);
    await server.restart();
    await core.createNamespacedConfigMap({ namespace, body: configMap('late') });
    await vi.waitFor(() => expect(told).toContain('add late'), WAIT);
    expect(
      informer
        .list()
        .map(({ metadata }) => metadata?.name)
        .sort(),
    ).toEqual(['after', 'late']);
    await informer.stop();
  });

  it('watches with bookmarks, and ends when it is told to', async () => {
    const seen: string[] = [];
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const query = { allowWatchBookmarks: true, sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' };
    const ended = new Promise<unknown>((resolve) => {
      void new Watch(config)
        .watch(path, { ...query, timeoutSeconds: 2 }, (type) => void seen.push(type), resolve)
        .catch(resolve);
    });
    await ended;
    expect(seen.slice(0, 4)).toEqual(['ADDED', 'ADDED', 'ADDED', 'BOOKMARK']);
  });

  it('runs a command in a pod, and tells its status', async () => {
    await running('main');
    let out = '';
    const stdout = new PassThrough();
    stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    const status = await new Promise<string | undefined>((resolve, reject) => {
      new Exec(config)
        .exec(namespace, 'main', 'main', ['echo', 'hello'], stdout, null, null, false, (s) => resolve(s.status))
        .catch(reject);
    });
    expect(status).toBe('Success');
    expect(out).toContain('echo hello');
    const refused = new Exec(config).exec(namespace, 'absent', 'main', ['true'], stdout, null, null, false);
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining('404') });
    const log = new PassThrough();
    await new Log(config).log(namespace, 'main', 'main', log, { tailLines: 1 });
  });

  it('works with deployments, their scale, jobs and custom objects', async () => {
    const apps = config.makeApiClient(AppsV1Api);
    const labels = { app: 'web' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'example/main:1' }] } };
    const body = { metadata: { name: 'web' }, spec: { replicas: 1, selector: { matchLabels: labels }, template } };
    await apps.createNamespacedDeployment({ namespace, body });
    const merge = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    const scale = { namespace, name: 'web', body: { spec: { replicas: 2 } } };
    expect((await apps.patchNamespacedDeploymentScale(scale, merge)).spec?.replicas).toBe(2);
    await vi.waitFor(async () => {
      const { status } = await apps.readNamespacedDeployment({ namespace, name: 'web' });
      expect(status?.readyReplicas).toBe(2);
    }, WAIT);
    const batch = config.makeApiClient(BatchV1Api);
    const job = { spec: { template: { spec: { ...pod('j').spec, restartPolicy: 'Never' } } } };
    await batch.createNamespacedJob({ namespace, body: { metadata: { name: 'once' }, ...job } as never });
    await vi.waitFor(async () => {
      expect((await batch.readNamespacedJob({ namespace, name: 'once' })).status?.succeeded).toBe(1);
    }, WAIT);
    const custom = config.makeApiClient(CustomObjectsApi);
    const group = { group: 'nothing.example.com', version: 'v1', namespace, plural: 'things' };
    expect(await codeOf(custom.listNamespacedCustomObject(group))).toBe(404);
  });
});
