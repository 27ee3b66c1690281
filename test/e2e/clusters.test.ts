// Clusters as objects: the commands of skiff and stock kubectl against an embedded server, as processes of their own.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../free-port.ts';
import { describeWith, kubectlMissing } from './needs.ts';

const scratch = mkdtempSync(join(tmpdir(), 'skiff-clusters-test-'));
const data = join(scratch, 'data');
const operator = join(data, 'kubeconfig');
const tenant = join(scratch, 'team-a.kubeconfig');

const run = (program: string, args: string[], kubeconfig = operator) => {
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: scratch };
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env, timeout: 60_000 });
  return { code: status ?? -1, out: stdout, err: stderr };
};
const main = join(import.meta.dirname, '../../cli/main.ts');
const skiff = (...args: string[]) => run(process.execPath, [main, ...args]);
const cluster = (...args: string[]) => skiff('cluster', ...args, '--data', data);
const fleet = (...args: string[]) => {
  const server = run('kubectl', ['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}']).out;
  return run('kubectl', ['--server', `${server}/clusters/system`, ...args]);
};

describeWith(kubectlMissing(), 'clusters as objects', () => {
  beforeAll(async () => {
    const port = String(await freePort());
    const up = skiff('up', '--detach', '--runtime', 'hollow', '--nodes', '0', '--data', data, '--port', port);
    if (up.code !== 0) throw new Error(up.err + up.out);
  }, 60_000);
  afterAll(() => {
    skiff('down', '--data', data, '--purge');
    rmSync(scratch, { recursive: true, force: true });
  }, 60_000);

  it('are created, listed, entered and deleted by commands', () => {
    const made = cluster('create', 'team-a', '--display-name', 'Team A', '--quota', 'objects=1k', '--quota', 'nodes=3');
    expect(made.err).toBe('');
    // With the connection; the creation alone is measured in functions/fleet/fleet.test.ts.
    expect(Number(/\((\d+) ms\)/.exec(made.out)?.[1])).toBeLessThan(1000);
    expect(cluster('create', 'team-a').err).toContain('already exists');
    expect(cluster('create', 'b', '--quota', 'pods=1').err).toContain('--quota takes objects');
    expect(cluster('create', 'default').err).toContain('default is a cluster that every deployment has');
    expect(cluster('list').out).toMatch(/^team-a\s+Ready.*Team A$/m);

    writeFileSync(tenant, cluster('kubeconfig', 'team-a').out);
    const kubectl = (...args: string[]) => run('kubectl', args, tenant);
    expect(kubectl('get', 'namespaces', '-o', 'name').out.split('\n').filter(Boolean)).toEqual([
      'namespace/default',
      'namespace/kube-node-lease',
      'namespace/kube-public',
      'namespace/kube-system',
    ]);
    expect(kubectl('create', 'configmap', 'c', '--from-literal=a=b').out).toBe('configmap/c created\n');
    expect(kubectl('auth', 'can-i', '*', '*').out).toBe('yes\n');
    expect(run('kubectl', ['get', 'configmap', 'c']).err).toContain('not found');

    expect(cluster('delete', 'team-a').out).toBe('cluster team-a deleted\n');
    expect(cluster('delete', 'team-a').err).toContain('no cluster team-a');
    expect(kubectl('get', 'configmap', 'c').code).not.toBe(0);
    // A cluster of the same name is another one: the old credential opens nothing.
    expect(cluster('create', 'team-a').code).toBe(0);
    expect(kubectl('get', 'configmap', 'c').err).toMatch(/Unauthorized|logged in/);
    expect(cluster('delete', 'team-a').code).toBe(0);
  }, 120_000);

  it('have nodes of their own, which run their pods and no others, up to the quota', async () => {
    expect(cluster('create', 'team-n', '--quota', 'nodes=1').code).toBe(0);
    const text = cluster('kubeconfig', 'team-n').out;
    writeFileSync(tenant, text);
    const ca = join(scratch, 'ca.pem');
    const encoded = /certificate-authority-data: (\S+)/.exec(text)?.[1] ?? '';
    writeFileSync(ca, Buffer.from(encoded, 'base64').toString());
    const server = /server: (\S+)/.exec(text)?.[1] ?? '';
    const joining = (name: string) => {
      const token = skiff('node', 'token', '--cluster', 'team-n', '--data', data).out.trim();
      const args = ['node', 'join', '--server', server, '--token', token, '--name', name, '--ca', ca];
      return [...args, '--runtime', 'hollow', '--data', join(scratch, name)];
    };
    const child = spawn(process.execPath, [main, ...joining('n1')], {
      stdio: 'ignore',
      env: { ...process.env, HOME: scratch },
    });
    const ended = once(child, 'exit');
    try {
      const kubectl = (...args: string[]) => run('kubectl', args, tenant);
      const get = (...args: string[]) => kubectl('get', ...args).out;
      await expect.poll(() => get('nodes'), { timeout: 30_000, interval: 500 }).toMatch(/^n1\s+Ready/m);
      expect(kubectl('create', 'deployment', 'web', '--image=x', '--replicas=2').code).toBe(0);
      await expect
        .poll(() => get('pods', '-o', 'wide').match(/Running.* n1 /g)?.length, { timeout: 30_000, interval: 500 })
        .toBe(2);
      expect(run('kubectl', ['get', 'nodes', '-o', 'name']).out).toBe('');
      expect(skiff(...joining('n2')).err).toContain('limited to 1 nodes, and has 1');
      // Its pods are stopped before it goes.
      expect(cluster('delete', 'team-n').out).toBe('cluster team-n deleted\n');
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
  }, 120_000);

  it('are an API of the cluster system, and of no other', () => {
    expect(fleet('api-resources', '--api-group', 'skiff.dev', '-o', 'name').out).toBe('clusters.skiff.dev\n');
    expect(run('kubectl', ['api-resources', '--api-group', 'skiff.dev', '-o', 'name']).out).toBe('');
    expect(fleet('explain', 'clusters.spec.quotas').out).toContain('requestsPerSecond');
    const manifest = join(scratch, 'b.yaml');
    writeFileSync(
      manifest,
      'apiVersion: skiff.dev/v1\nkind: Cluster\nmetadata: {name: b}\nspec: {quotas: {objects: 500}}\n',
    );
    expect(fleet('apply', '-f', manifest).out).toBe('cluster.skiff.dev/b created\n');
    expect(fleet('wait', 'cluster/b', '--for=condition=Ready', '--timeout=5s').code).toBe(0);
    expect(fleet('get', 'clusters').out).toMatch(/^NAME\s+PHASE\s+OBJECTS\s+NODES\s+AGE\nb\s+Ready/);
    expect(fleet('patch', 'cluster', 'b', '--type=merge', '-p', '{"spec":{"quotas":{"objects":-1}}}').err).toContain(
      'should be greater than or equal to 0',
    );
    // Its finalizer cannot be taken away: the keys would stay.
    expect(fleet('patch', 'cluster', 'b', '--type=merge', '-p', '{"metadata":{"finalizers":[]}}').code).toBe(0);
    expect(fleet('get', 'cluster', 'b', '-o', 'jsonpath={.metadata.finalizers}').out).toBe('["skiff.dev/keys"]');
    expect(fleet('delete', 'cluster', 'b', '--timeout=30s').code).toBe(0);
    expect(fleet('get', 'clusters').err).toContain('No resources found');
  }, 120_000);
});
