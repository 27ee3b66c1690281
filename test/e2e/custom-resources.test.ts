// Stock kubectl with custom resources on a control plane of this process: explain, columns, scale, clean-up, owners.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type ControlPlane, startControlPlane } from '../../functions/entry/local.ts';
import { describeWith, kubectlMissing } from './needs.ts';

interface Ended {
  code: number;
  out: string;
  err: string;
}

const scratch = mkdtempSync(join(tmpdir(), 'skiff-custom-test-'));
let plane: ControlPlane;

const kubectl = (...args: string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const env = { ...process.env, KUBECONFIG: join(scratch, 'kubeconfig'), HOME: scratch };
    execFile('kubectl', args, { encoding: 'utf8', env, timeout: 60_000 }, (error, out, err) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, out, err }),
    );
  });
/** The output of a kubectl that must succeed. */
const shown = async (...args: string[]): Promise<string> => {
  const { code, out, err } = await kubectl(...args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${err}`);
  return out;
};
const apply = (...objects: object[]): Promise<string> => {
  const file = join(scratch, 'manifest.yaml');
  writeFileSync(file, objects.map((object) => stringify(object)).join('---\n'));
  return shown('apply', '-f', file);
};
const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 150; tries++) {
    if (await holds()) return;
    await delay(100);
  }
  throw new Error(`in vain: ${what}`);
};
const gone = (...args: string[]) =>
  until(`${args.join(' ')} goes`, async () => (await kubectl('get', ...args)).err.includes('NotFound'));

const uidOf = (...args: string[]): Promise<string> => shown('get', ...args, '-o', 'jsonpath={.metadata.uid}');

const spec = {
  type: 'object',
  description: 'What a boat should be.',
  properties: {
    replicas: { type: 'integer', description: 'How many.' },
    sails: {
      type: 'array',
      description: 'Its sails.',
      items: { type: 'object', properties: { area: { type: 'number', description: 'In square metres.' } } },
    },
  },
};
const status = { type: 'object', properties: { replicas: { type: 'integer' }, selector: { type: 'string' } } };
const version = (name: string, storage: boolean, more: object = {}) => ({
  name,
  served: true,
  storage,
  schema: { openAPIV3Schema: { type: 'object', description: `Boat in ${name}.`, properties: { spec, status } } },
  additionalPrinterColumns: [
    { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
    { name: 'First', type: 'number', jsonPath: '.spec.sails[0].area', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  subresources: {
    status: {},
    scale: {
      specReplicasPath: '.spec.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
  },
  ...more,
});
const boats = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'boats.sea.example.com' },
  spec: {
    group: 'sea.example.com',
    scope: 'Namespaced',
    names: { plural: 'boats', singular: 'boat', kind: 'Boat', shortNames: ['bt'], categories: ['fleet'] },
    versions: [version('v1alpha1', false, { deprecated: true }), version('v1', true)],
  },
};
const boat = (name: string, more: object = {}, api = 'v1') => ({
  apiVersion: `sea.example.com/${api}`,
  kind: 'Boat',
  metadata: { name, namespace: 'default', ...more },
  spec: { replicas: 2, sails: [{ area: 12.5 }] },
});
const owner = (kind: string, apiVersion: string, name: string, uid: string, block = false) => ({
  ownerReferences: [{ apiVersion, kind, name, uid, ...(block && { blockOwnerDeletion: true }) }],
});
const map = (name: string, metadata: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...metadata },
});

describeWith(kubectlMissing(), 'kubectl and custom resources', () => {
  beforeAll(async () => {
    const directory = join(scratch, 'data');
    plane = await startControlPlane({ directory, host: '127.0.0.1', port: 0, log: () => {} });
    const { server, caCert, token } = plane.access;
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'c', cluster: { server, 'certificate-authority-data': Buffer.from(caCert).toString('base64') } },
      ],
      users: [{ name: 'u', user: { token } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'default' } }],
      'current-context': 'x',
    };
    writeFileSync(join(scratch, 'kubeconfig'), stringify(config));
  });
  afterAll(async () => {
    await plane?.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('defines a kind of two versions, explains it, and finds it by all its names', async () => {
    expect(await apply(boats)).toContain('boats.sea.example.com created');
    await shown('wait', '--for=condition=Established', 'crd/boats.sea.example.com', '--timeout=20s');
    expect(await shown('api-resources', '--api-group=sea.example.com')).toMatch(
      /^boats +bt +sea\.example\.com\/v1 +true +Boat$/m,
    );
    expect(await shown('explain', 'boats')).toMatch(
      /KIND: +Boat\nVERSION: +v1\n[\s\S]*Boat in v1\.[\s\S]*spec\t<Object>/,
    );
    expect(await shown('explain', 'boats.spec.sails')).toMatch(
      /Its sails\.[\s\S]*area\t<number>\n +In square metres\./,
    );
    expect(await shown('explain', 'boats.metadata')).toContain('creationTimestamp\t<string>');
    expect(await shown('explain', 'boats', '--api-version=sea.example.com/v1alpha1')).toContain('Boat in v1alpha1.');
    expect(await shown('explain', 'boats.spec', '--output=plaintext-openapiv2')).toContain('What a boat should be.');
    expect((await kubectl('explain', 'boats.spec.nothing')).err).toContain('field "nothing" does not exist');
    await apply(boat('argo'));
    for (const name of ['boats', 'boat', 'bt', 'boats.sea.example.com', 'boats.v1.sea.example.com', 'fleet'])
      expect(await shown('get', name, '-o', 'name')).toBe('boat.sea.example.com/argo\n');
  });

  it('shows its columns, warns of the deprecated version, and refuses what the schema does not know', async () => {
    expect(await shown('get', 'boats')).toMatch(/^NAME +REPLICAS +AGE\nargo +2 +\d+s\n$/);
    expect(await shown('get', 'boats', '-o', 'wide')).toMatch(/^NAME +REPLICAS +FIRST +AGE\nargo +2 +12\.5 +\d+s\n$/);
    const old = await kubectl('get', 'boats.v1alpha1.sea.example.com');
    expect(old.err).toBe('Warning: sea.example.com/v1alpha1 Boat is deprecated; use sea.example.com/v1 Boat\n');
    expect(old.out).toContain('argo');
    const file = join(scratch, 'wrong.yaml');
    writeFileSync(file, stringify({ ...boat('wrong'), spec: { oars: 1 } }));
    expect((await kubectl('apply', '-f', file)).err).toContain('unknown field "spec.oars"');
  });

  it('scales, writes its status, and is applied by the server', async () => {
    expect(await shown('scale', 'boat/argo', '--replicas=5')).toContain('scaled');
    expect(await shown('get', 'boat', 'argo', '-o', 'jsonpath={.spec.replicas} {.metadata.generation}')).toBe('5 2');
    const patch = ['--type=merge', '-p', '{"status":{"replicas":5},"spec":{"replicas":9}}'];
    await shown('patch', 'boat', 'argo', '--subresource=status', ...patch);
    expect(await shown('get', 'boat', 'argo', '-o', 'jsonpath={.spec.replicas} {.status.replicas}')).toBe('5 5');
    expect(await shown('get', 'boat', 'argo', '--subresource=scale', '-o', 'jsonpath={.kind} {.spec.replicas}')).toBe(
      'Scale 5',
    );
    const file = join(scratch, 'applied.yaml');
    writeFileSync(file, stringify({ ...boat('argo'), spec: { sails: [{ area: 20 }] } }));
    expect(await shown('apply', '--server-side', '--force-conflicts', '-f', file)).toContain('serverside-applied');
    expect(await shown('get', 'boat', 'argo', '-o', 'jsonpath={.spec.sails[0].area}')).toBe('20');
  });

  it('collects what custom resources own, and custom resources that others own', async () => {
    await apply(boat('owner'));
    const uid = await uidOf('boat', 'owner');
    await apply(
      map('below', owner('Boat', 'sea.example.com/v1', 'owner', uid)),
      boat('tender', owner('Boat', 'sea.example.com/v1alpha1', 'owner', uid)),
    );
    await apply(map('below-tender', owner('Boat', 'sea.example.com/v1', 'tender', await uidOf('boat', 'tender'))));
    await shown('delete', 'boat', 'owner');
    for (const name of ['cm/below', 'boat/tender', 'cm/below-tender']) await gone(name);
  });

  it('deletes in the foreground, and orphans', async () => {
    await apply(map('top', {}));
    const uid = await uidOf('cm', 'top');
    await apply(boat('held', { ...owner('ConfigMap', 'v1', 'top', uid, true), finalizers: ['example.com/hold'] }));
    await shown('delete', 'cm', 'top', '--cascade=foreground', '--wait=false');
    await until('the dependent is deleted', async () =>
      (await shown('get', 'boat', 'held', '-o', 'jsonpath={.metadata.deletionTimestamp}')).startsWith('2'),
    );
    expect(await shown('get', 'cm', 'top', '-o', 'jsonpath={.metadata.finalizers}')).toBe('["foregroundDeletion"]');
    await shown('patch', 'boat', 'held', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
    await gone('cm/top');
    await gone('boat/held');
    await apply(boat('leaver'));
    const left = owner('Boat', 'sea.example.com/v1', 'leaver', await uidOf('boat', 'leaver'));
    await apply(boat('stays', left));
    await shown('delete', 'boat', 'leaver', '--cascade=orphan');
    await gone('boat/leaver');
    expect(await shown('get', 'boat', 'stays', '-o', 'jsonpath={.metadata.ownerReferences}')).toBe('');
  });

  it('empties a namespace of its custom resources, and says what holds it', async () => {
    await shown('create', 'namespace', 'harbour');
    await apply({ ...boat('docked'), metadata: { name: 'docked', namespace: 'harbour' } });
    const finalizers = ['example.com/hold'];
    await apply({ ...boat('moored'), metadata: { name: 'moored', namespace: 'harbour', finalizers } });
    await shown('delete', 'namespace', 'harbour', '--wait=false');
    const conditions = () => shown('get', 'namespace', 'harbour', '-o', 'jsonpath={.status.conditions[*].message}');
    await until('the namespace tells', async () =>
      (await conditions()).includes('example.com/hold in 1 resource instances'),
    );
    expect(await conditions()).toContain('boats.sea.example.com has 1 resource instances');
    expect(await shown('get', 'boats', '-n', 'harbour', '-o', 'name')).toBe('boat.sea.example.com/moored\n');
    await shown('patch', 'boat', 'moored', '-n', 'harbour', '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
    await gone('namespace/harbour');
  });

  it('deletes a definition with its objects, and what they own, while they are watched', async () => {
    await apply(map('kept-by', owner('Boat', 'sea.example.com/v1', 'argo', await uidOf('boat', 'argo'))));
    const watched = kubectl('get', 'boats', '--watch-only', '--output-watch-events', '--request-timeout=20s');
    // Long enough for kubectl to have its watch on a machine that does other things too.
    await delay(2_000);
    expect(await shown('delete', 'crd', 'boats.sea.example.com', '--timeout=30s')).toContain('deleted');
    // kubectl may still know the kind from its cache: then the server says that it is not there.
    expect((await kubectl('get', 'boats')).err).toMatch(/could not find the requested resource|have a resource type/);
    expect((await watched).out).toMatch(/DELETED +argo +5 /);
    await gone('cm/kept-by');
    expect((await kubectl('explain', 'boats')).code).toBe(1);
  });
});
