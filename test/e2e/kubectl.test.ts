// Stock kubectl and the commands of skiff against a cluster of hollow nodes, as processes of their own.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../free-port.ts';
import { describeWith, kubectlMissing, processesWith } from './needs.ts';

interface Ended {
  code: number;
  out: string;
  err: string;
}

const scratch = mkdtempSync(join(tmpdir(), 'skiff-kubectl-test-'));
const data = join(scratch, 'data');
const manifest = join(scratch, 'web.yaml');
let port = 0;

const run = (program: string, args: string[]): Ended => {
  const env = { ...process.env, KUBECONFIG: join(data, 'kubeconfig'), HOME: scratch };
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env, timeout: 60_000 });
  return { code: status ?? -1, out: stdout, err: stderr };
};
const skiff = (...args: string[]): Ended =>
  run(process.execPath, [join(import.meta.dirname, '../../cli/main.ts'), ...args]);
const up = (): Ended =>
  skiff('up', '--detach', '--runtime', 'hollow', '--nodes', '2', '--data', data, '--port', String(port));
const kubectl = (...args: string[]): Ended => run('kubectl', args);
/** The output of a kubectl that must succeed. */
const shown = (...args: string[]): string => {
  const { code, out, err } = kubectl(...args);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${err}`);
  return out;
};
const rolledOut = (): string => shown('rollout', 'status', 'deployment/web', '--timeout=60s');
const image = (): string => shown('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}');

const web = `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {greeting: hello}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "example/web:1", ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`;

describeWith(kubectlMissing(), 'kubectl and skiff', () => {
  beforeAll(async () => {
    port = await freePort();
    writeFileSync(manifest, web);
    const started = up();
    if (started.code !== 0) throw new Error(started.err || started.out);
  });
  afterAll(() => {
    skiff('down', '--purge', '--data', data);
    rmSync(scratch, { recursive: true, force: true });
  });

  it('applies a manifest, and changes nothing when applied again', () => {
    expect(shown('apply', '-f', manifest).split('\n').slice(0, 3)).toEqual([
      'configmap/settings created',
      'deployment.apps/web created',
      'service/web created',
    ]);
    expect(rolledOut()).toContain('successfully rolled out');
    expect(shown('apply', '-f', manifest).match(/unchanged/g)).toHaveLength(3);
    expect(shown('diff', '-f', manifest)).toBe('');
  });

  it('gets as a table, wide, yaml, json, jsonpath and names, selected by label and field', () => {
    expect(shown('get', 'deploy')).toMatch(/^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +3\/3 +3 +3 +\d+s\n$/);
    const wide = shown('get', 'pods', '-o', 'wide').trim().split('\n');
    expect(wide[0]).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/);
    expect(wide).toHaveLength(4);
    for (const line of wide.slice(1)) expect(line).toMatch(/ 1\/1 +Running +0 +\d+s +10\.244\.\d+\.\d+ +node-[12] /);
    expect(shown('get', 'cm', 'settings', '-o', 'yaml')).toMatch(
      /^apiVersion: v1\ndata:\n {2}greeting: hello\nkind: Conf/,
    );
    expect(JSON.parse(shown('get', 'svc', 'web', '-o', 'json')).spec.ports[0]).toMatchObject({ port: 80 });
    expect(shown('get', 'deploy', 'web', '-o', 'jsonpath={.status.readyReplicas}')).toBe('3');
    expect(shown('get', 'pods', '-l', 'app=web', '-o', 'name').match(/pod\/web-/g)).toHaveLength(3);
    expect(shown('get', 'pods', '-l', 'app!=web', '-o', 'name')).toBe('');
    expect(shown('get', 'pods', '--field-selector', 'status.phase=Running', '-o', 'name').match(/pod\//g)).toHaveLength(
      3,
    );
    expect(shown('get', 'pods', '--field-selector', 'spec.nodeName=nowhere', '-o', 'name')).toBe('');
    expect(shown('get', 'nodes')).toMatch(/node-1 +Ready .*\nnode-2 +Ready /);
  });

  it('describes, explains, lists resources, events and versions', () => {
    const described = shown('describe', 'deployment', 'web');
    expect(described).toMatch(/Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable/);
    expect(described).toContain('Scaled up replica set');
    expect(shown('describe', 'pod', '-l', 'app=web')).toMatch(/Status: +Running/);
    expect(shown('explain', 'deployment.spec.replicas')).toContain('FIELD: replicas <integer>');
    expect(shown('api-resources')).toMatch(/^deployments +deploy +apps\/v1 +true +Deployment$/m);
    expect(shown('events')).toMatch(/Normal +Scheduled +Pod\/web-/);
    expect(shown('version')).toContain('Server Version: v1.36');
  });

  it('scales, rolls out, tells the history and undoes', () => {
    shown('scale', 'deployment', 'web', '--replicas=5');
    rolledOut();
    expect(shown('get', 'deploy', 'web', '-o', 'jsonpath={.status.readyReplicas}')).toBe('5');
    shown('set', 'image', 'deployment/web', 'web=example/web:2');
    expect(rolledOut()).toContain('successfully rolled out');
    expect(image()).toBe('example/web:2');
    expect(shown('rollout', 'history', 'deployment/web')).toMatch(/\n1 +<none>\n2 +<none>\n/);
    shown('rollout', 'undo', 'deployment/web');
    expect(rolledOut()).toContain('successfully rolled out');
    expect(image()).toBe('example/web:1');
  });

  it('says plainly what is not there or not right', () => {
    expect(kubectl('logs', 'nowhere')).toMatchObject({ code: 1, err: expect.stringContaining('"nowhere" not found') });
    const lost = kubectl('get', 'pod', 'nowhere');
    expect(lost).toMatchObject({ code: 1, err: 'Error from server (NotFound): pods "nowhere" not found\n' });
    expect(kubectl('get', 'nothings').err).toContain('the server doesn\'t have a resource type "nothings"');
    const bad = join(scratch, 'bad.yaml');
    writeFileSync(bad, 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name, namespace: default}\n');
    expect(kubectl('create', '-f', bad).err).toContain('metadata.name: Invalid value: "Bad_Name"');
  });

  it('refuses a second up, a port in use and a directory of a newer layout, each in one line with exit 1', () => {
    const again = skiff('up', '--runtime', 'hollow', '--data', data, '--port', String(port));
    expect(again).toMatchObject({ code: 1, err: expect.stringMatching(/^skiff: \S+ is in use by process \d+: .*\n$/) });
    const other = join(scratch, 'other');
    const taken = skiff('up', '--runtime', 'hollow', '--data', other, '--port', String(port));
    expect(taken).toMatchObject({ code: 1, err: `skiff: port ${port} is in use: choose another with --port\n` });
    const newer = join(scratch, 'newer');
    mkdirSync(newer);
    writeFileSync(join(newer, 'skiff.json'), JSON.stringify({ layout: 99 }));
    const refused = skiff('up', '--runtime', 'hollow', '--data', newer, '--port', String(port));
    expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/^skiff: .* newer version of skiff .*\n$/) });
    expect(processesWith(other)).toEqual([]);
  });

  it('status and kubeconfig tell of the cluster that runs', () => {
    const status = skiff('status', '--data', data);
    expect(status.code).toBe(0);
    expect(status.out).toMatch(/node +node-1 Ready, \d+ pod\(s\), hollow\nnode +node-2 Ready/);
    expect(skiff('kubeconfig', '--data', data).out).toBe(readFileSync(join(data, 'kubeconfig'), 'utf8'));
  });

  it('finds every object again after up was killed', async () => {
    const all = () => shown('get', 'deploy,rs,cm,svc', '-o', 'jsonpath={range .items[*]}{.metadata.uid}{"\\n"}{end}');
    const pods = () =>
      shown('get', 'pods', '-o', 'jsonpath={range .items[*]}{.metadata.uid}{"\\n"}{end}').split('\n').sort();
    const [objects, before] = [all(), pods()];
    process.kill(JSON.parse(readFileSync(join(data, 'skiff.json'), 'utf8')).pid, 'SIGKILL');
    await delay(200);
    expect(skiff('status', '--data', data).code).toBe(1);
    const started = up();
    expect(started.err).toBe('');
    expect(started.code).toBe(0);
    expect(all()).toBe(objects);
    await delay(2000);
    expect(pods()).toEqual(before);
    expect(shown('get', 'pods', '--field-selector', 'status.phase=Running', '-o', 'name').match(/pod\//g)).toHaveLength(
      5,
    );
  });

  it('deletes with what belongs to it', async () => {
    expect(shown('delete', 'deployment', 'web')).toContain('deployment.apps "web" deleted');
    const left = () => kubectl('get', 'rs,pods', '-o', 'name').out;
    for (let i = 0; i < 100 && left() !== ''; i++) await delay(100);
    expect(left()).toBe('');
  });

  it('down --purge ends it and leaves nothing', () => {
    expect(skiff('down', '--purge', '--data', data).code).toBe(0);
    expect(existsSync(data)).toBe(false);
    expect(processesWith(data)).toEqual([]);
    expect(skiff('status', '--data', data).code).toBe(1);
    const again = skiff('down', '--data', data);
    expect(again).toMatchObject({ code: 1, err: `skiff: nothing to take down in ${data}\n` });
  });
});
