import { mkdtemp, readdir, readFile, readlink, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Client } from '../../functions/client/client.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import type { Pod } from '../../functions/machinery/kinds.d.ts';
import type { Images } from '../runtime/runtime.ts';
import { createImageVolumes, type ImageVolumes } from './image-volumes.ts';
import { createNodeVolumes } from './node-volumes.ts';
import type { Bind } from './sub-path.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'skiff-volumes-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const objects = new Map<string, unknown>();
const asked: string[] = [];
const client = {
  get: async (_r: unknown, ns: string, name: string) => objects.get(`${ns}/${name}`),
  raw: async (_method: string, path: string) => {
    asked.push(path);
    const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
    return Response.json({ status: { token: 'the-token', expirationTimestamp } });
  },
} as unknown as Client;
const volumesIn = (bind?: Bind, images?: ImageVolumes) =>
  createNodeVolumes({
    ...(bind && { bind }),
    ...(images && { images }),
    client,
    clock: createSystemClock(),
    dataDir: directory,
    facts: () => ({ podIPs: ['10.0.0.9'], hostIPs: ['192.168.0.1'], nodeName: 'n1', allocatable: { cpu: '2' } }),
  });
const podWith = (volumes: NonNullable<Pod['spec']>['volumes'], extra = {}): Pod => ({
  metadata: { name: 'p', namespace: 'ns', uid: 'u1', labels: { app: 'x' } },
  spec: { containers: [{ name: 'c', resources: { limits: { cpu: '250m' } } }], ...(volumes && { volumes }), ...extra },
});
const file = (...parts: string[]) => readFile(join(directory, 'pods/u1/volumes', ...parts), 'utf8');

test('a ConfigMap is written with one swap and follows changes; files that go are removed', async () => {
  objects.set('ns/conf', { data: { a: '1', b: '2' }, binaryData: { c: Buffer.from('3').toString('base64') } });
  const volumes = volumesIn();
  const pod = podWith([{ name: 'v', configMap: { name: 'conf', defaultMode: 0o640 } }]);
  await volumes.prepare(pod);
  expect([await file('v', 'a'), await file('v', 'c')]).toEqual(['1', '3']);
  const data = await readlink(join(directory, 'pods/u1/volumes/v/..data'));
  expect((await stat(join(directory, 'pods/u1/volumes/v/a'))).mode & 0o777).toBe(0o640);
  await volumes.refresh(pod);
  expect(await readlink(join(directory, 'pods/u1/volumes/v/..data'))).toBe(data);
  objects.set('ns/conf', { data: { a: 'new' } });
  await volumes.refresh(pod);
  expect((await readdir(join(directory, 'pods/u1/volumes/v'))).filter((n) => !n.startsWith('..'))).toEqual(['a']);
  expect(await file('v', 'a')).toBe('new');
  objects.delete('ns/conf');
  await volumes.refresh(pod);
  expect(await file('v', 'a')).toBe('new');
  await volumes.clean('u1');
  expect(await readdir(join(directory, 'pods'))).toEqual([]);
});

test('projected: token, config, downward fields; the token is asked for once', async () => {
  objects.set('ns/ca', { data: { 'ca.crt': 'PEM' } });
  const volumes = volumesIn();
  const pod = podWith([
    {
      name: 'api',
      projected: {
        sources: [
          { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
          { configMap: { name: 'ca', items: [{ key: 'ca.crt', path: 'deep/ca.crt' }] } },
          {
            downwardAPI: {
              items: [
                { path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } },
                { path: 'cpu', resourceFieldRef: { containerName: 'c', resource: 'limits.cpu', divisor: '1m' } },
              ],
            },
          },
        ],
      },
    },
  ]);
  await volumes.prepare(pod);
  await volumes.refresh(pod);
  const all = await Promise.all(['token', 'deep/ca.crt', 'namespace', 'cpu'].map((name) => file('api', name)));
  expect(all).toEqual(['the-token', 'PEM', 'ns', '250']);
  expect(asked).toEqual(['/api/v1/namespaces/ns/serviceaccounts/default/token']);
});

test("a token is its user's alone where all containers run as one, and the group's with fsGroup", async () => {
  const me = process.getuid?.() ?? 0;
  const group = process.getgid?.() ?? 0;
  const volumes = volumesIn();
  const as = (runAsUser?: number) => ({
    name: 'c',
    ...(runAsUser !== undefined && { securityContext: { runAsUser } }),
  });
  const cases: [object, number][] = [
    [{ containers: [as()] }, 0o644],
    [{ containers: [as()], securityContext: { runAsUser: me } }, 0o600],
    [{ containers: [as(me)], initContainers: [as(me)] }, 0o600],
    [{ containers: [as(me)], initContainers: [as()] }, 0o644],
    [{ containers: [as(me), as(me + 1)] }, 0o644],
    [{ containers: [as()], securityContext: { fsGroup: group } }, 0o640],
    [{ containers: [as()], securityContext: { runAsUser: me, fsGroup: group } }, 0o640],
  ];
  for (const [extra, mode] of cases) {
    const pod = podWith([{ name: 't', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }], extra);
    await volumes.prepare(pod);
    const found = await stat(join(directory, 'pods/u1/volumes/t/token'));
    expect([extra, found.mode & 0o777, found.uid, found.gid]).toEqual([extra, mode, me, group]);
    await volumes.clean('u1');
  }
  // Who is not this process's own user can only be given a file by root.
  if (me !== 0) return;
  const other = podWith([{ name: 't', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }], {
    securityContext: { runAsUser: 1234 },
  });
  await volumes.prepare(other);
  const found = await stat(join(directory, 'pods/u1/volumes/t/token'));
  expect([found.mode & 0o777, found.uid]).toEqual([0o600, 1234]);
});

test('what is missing says so, unless optional', async () => {
  const volumes = volumesIn();
  await expect(volumes.prepare(podWith([{ name: 's', secret: { secretName: 'none' } }]))).rejects.toMatchObject({
    reason: 'FailedMount',
    message: 'MountVolume.SetUp failed for volume "s" : secret "none" not found',
  });
  await volumes.prepare(podWith([{ name: 's', secret: { secretName: 'none', optional: true } }]));
  const absent = join(directory, 'absent');
  await expect(
    volumes.prepare(podWith([{ name: 'h', hostPath: { path: absent, type: 'Directory' } }])),
  ).rejects.toThrow(`hostPath type check failed: ${absent} is not a directory`);
  await volumes.prepare(podWith([{ name: 'h', hostPath: { path: absent, type: 'DirectoryOrCreate' } }]));
  expect((await stat(absent)).isDirectory()).toBe(true);
});

test('subPath stays inside its volume', async () => {
  const bound: string[] = [];
  const volumes = volumesIn(async (source, target) => void bound.push(await realpath(source), target));
  const pod = podWith([{ name: 'e', emptyDir: {} }]);
  await volumes.prepare(pod);
  const mount = (subPathExpr: string) =>
    volumes.mounts(
      pod,
      { name: 'c', volumeMounts: [{ name: 'e', mountPath: '/x', subPathExpr }] },
      new Map([['WHO', 'me']]),
    );
  const own = join(directory, 'pods/u1/subpaths/c/0');
  expect((await mount('logs/$(WHO)'))[0]?.hostPath).toBe(own);
  expect(bound).toEqual([await realpath(join(directory, 'pods/u1/volumes/e/logs/me')), own]);
  await writeFile(join(directory, 'outside'), '');
  await symlink(directory, join(directory, 'pods/u1/volumes/e/link'));
  await expect(mount('link')).rejects.toThrow('leads out of the volume');
  await expect(mount('../x')).rejects.toThrow('invalid subPath');
});

test('an image volume is brought here by its policy and mounted read-only; where none can be, it is told', async () => {
  const mounted: string[] = [];
  const pulled: string[] = [];
  const image = { id: 'sha256:1', names: ['x:1'], sizeBytes: 1 };
  const images = {
    has: async (ref: string) => (ref === 'here:1' ? image : undefined),
    pull: async (ref: string) => {
      pulled.push(ref);
      return image;
    },
    mount: async (ref: string, target: string) => void mounted.push(`${ref} ${target.slice(directory.length)}`),
    unmount: async () => {},
  } as unknown as Images;
  const pod = podWith([
    { name: 'a', image: { reference: 'here:1', pullPolicy: 'IfNotPresent' } },
    { name: 'b', image: { reference: 'far:1', pullPolicy: 'IfNotPresent' } },
  ]);
  await expect(volumesIn().prepare(pod)).rejects.toThrow('volume kind is not supported on this node');
  const volumes = volumesIn(undefined, createImageVolumes(client, images, createSystemClock()));
  await volumes.prepare(pod);
  expect(pulled).toEqual(['far:1']);
  expect(mounted).toEqual(['here:1 /pods/u1/volumes/a', 'far:1 /pods/u1/volumes/b']);
  const [mount] = await volumes.mounts(
    pod,
    { name: 'c', volumeMounts: [{ name: 'a', mountPath: '/x', readOnly: false }] },
    new Map(),
  );
  expect(mount?.readOnly).toBe(true);
  const never = podWith([{ name: 'n', image: { reference: 'far:1', pullPolicy: 'Never' } }]);
  await expect(volumes.prepare(never)).rejects.toThrow('not present with pull policy of Never');
});
