// Helm 3 and 4 with a chart that has hooks, a CRD, a custom resource, a lookup and a test.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { describeTool } from '../describe-tool.ts';
import { type Ended, run, type Server, startServer } from '../server.ts';
import type { Tool } from '../tools.ts';

const CHART = join(import.meta.dirname, 'chart');
const kubectlFolder = (process.env.PATH ?? '').split(':').find((folder) => existsSync(join(folder, 'kubectl')));
const tools = inject('clientTools');
const kubectlPath = 'path' in tools['kubectl-1.36'] ? tools['kubectl-1.36'].path : join(kubectlFolder ?? '', 'kubectl');

/** What the versions call differently. */
export interface HelmFlags {
  /** Undoes an upgrade that fails. */
  atomic: string;
  /** Asks the server when rendering. */
  render: string[];
}

/** One release through its life. */
export const describeHelm = (version: number, tool: Tool, { atomic, render }: HelmFlags): void =>
  describeTool(tool, `helm ${version}`, (program) => {
    let server: Server;
    const call = (file: string, args: string[], input?: string): Promise<Ended> => {
      const env = { KUBECONFIG: server.kubeconfig, HOME: server.scratch };
      return run(file, args, { env, ms: 100_000, ...(input !== undefined && { input }) });
    };
    const helm = (...args: string[]) => call(program, args);
    /** The output of a helm that must succeed. */
    const shown = async (...args: string[]): Promise<string> => {
      const { code, out, err } = await helm(...args);
      if (code !== 0) throw new Error(`helm ${args.join(' ')} ended with ${code}: ${err}${out}`);
      return out;
    };
    const kubectl = async (...args: string[]): Promise<string> => {
      const { code, out, err } = await call(kubectlPath, args);
      return code === 0 ? out.trim() : err.trim();
    };
    const revisions = async (): Promise<{ revision: number; status: string; description: string }[]> =>
      JSON.parse(await shown('history', 'shop', '-n', 'shop', '-o', 'json'));
    const statuses = async () => (await revisions()).map(({ status }) => status);
    const key = () => kubectl('get', 'secret', 'shop-key', '-n', 'shop', '-o', 'jsonpath={.data.key}');
    let firstKey = '';

    beforeAll(async () => {
      server = await startServer();
    });
    afterAll(() => server?.stop());

    it('finds nothing wrong in the chart', async () => {
      expect(await shown('lint', CHART, '--kube-version=v1.36.0')).toContain('0 chart(s) failed');
    });

    it('installs, with the CRD first, the hooks around, and waits for what is ready', async () => {
      const out = await shown('install', 'shop', CHART, '-n', 'shop', '--create-namespace', '--wait', '--timeout=60s');
      expect(out).toContain('STATUS: deployed');
      expect(out).toContain('shop says hello.');
      expect(await kubectl('get', 'deploy', 'shop', '-n', 'shop', '-o', 'jsonpath={.status.readyReplicas}')).toBe('2');
      expect(await kubectl('get', 'shelf', 'shop', '-n', 'shop', '-o', 'jsonpath={.spec.size}')).toBe('2');
      const jobs = 'jsonpath={range .items[*]}{.metadata.name}={.status.succeeded} {end}';
      expect(await kubectl('get', 'jobs', '-n', 'shop', '-o', jobs)).toBe('shop-post-install=1 shop-pre-install=1');
      firstKey = await key();
      expect(firstKey).not.toBe('');
    });

    it('renders the chart with what this server has', async () => {
      const rendered = await shown('template', 'shop', CHART, '-n', 'shop', '--is-upgrade', ...render);
      expect(rendered).toMatch(/version: "v1\.36\./);
      expect(rendered).toContain('has: "true"');
      expect(rendered).toContain(firstKey);
    });

    it('lists, gets and tests the release', async () => {
      const listed = JSON.parse(await shown('list', '-A', '-o', 'json')) as { name: string; status: string }[];
      expect(listed).toMatchObject([{ name: 'shop', namespace: 'shop', revision: '1', status: 'deployed' }]);
      expect(await shown('get', 'manifest', 'shop', '-n', 'shop')).toContain('kind: Deployment');
      expect(await shown('status', 'shop', '-n', 'shop')).toContain('STATUS: deployed');
      expect(await shown('test', 'shop', '-n', 'shop', '--timeout=60s')).toMatch(/Phase: +Succeeded/);
    });

    it('upgrades, keeps what it looks up, and rolls back', async () => {
      const args = ['-n', 'shop', '--set=greeting=hi,replicas=3', '--wait', '--timeout=60s'];
      expect(await shown('upgrade', 'shop', CHART, ...args)).toContain('shop says hi.');
      const greeting = () => kubectl('get', 'cm', 'shop-settings', '-n', 'shop', '-o', 'jsonpath={.data.greeting}');
      const replicas = () => kubectl('get', 'deploy', 'shop', '-n', 'shop', '-o', 'jsonpath={.spec.replicas}');
      expect([await greeting(), await replicas(), await key()]).toEqual(['hi', '3', firstKey]);
      await shown('rollback', 'shop', '1', '-n', 'shop', '--wait', '--timeout=60s');
      expect([await greeting(), await replicas(), await key()]).toEqual(['hello', '2', firstKey]);
      expect(await statuses()).toEqual(['superseded', 'superseded', 'deployed']);
    });

    it('undoes an upgrade that does not become ready', async () => {
      const failed = await helm('upgrade', 'shop', CHART, '-n', 'shop', '--set=broken=true', atomic, '--timeout=5s');
      expect(failed.code).toBe(1);
      expect((await statuses()).slice(-2)).toEqual(['failed', 'deployed']);
      const image = 'jsonpath={.spec.template.spec.containers[0].image}';
      expect(await kubectl('get', 'deploy', 'shop', '-n', 'shop', '-o', image)).toBe('example/shop:1');
    });

    it('refuses what the server refuses', async () => {
      const refused = await helm('upgrade', 'shop', CHART, '-n', 'shop', '--set=replicas=0');
      expect(refused.code).toBe(1);
      expect(refused.err).toMatch(/spec\.size.*greater than or equal to 1/);
      const again = await helm('install', 'shop', CHART, '-n', 'shop');
      expect(again).toMatchObject({ code: 1, err: expect.stringContaining('in use') });
    });

    it('uninstalls with its hook, and leaves the CRD', async () => {
      expect(await shown('uninstall', 'shop', '-n', 'shop', '--wait', '--timeout=60s')).toContain('uninstalled');
      const left = 'deploy,svc,cm,secret,shelf';
      expect(await kubectl('get', left, '-n', 'shop', '-l', 'app.kubernetes.io/name=shop', '-o', 'name')).toBe('');
      expect(await kubectl('get', 'crd', 'shelves.shop.example.com', '-o', 'name')).toContain('shelves');
      expect(JSON.parse(await shown('list', '-n', 'shop', '-o', 'json'))).toEqual([]);
    });

    it('renders for kubectl apply', async () => {
      const rendered = await shown('template', 'plain', CHART, '-n', 'shop', '--no-hooks', '--kube-version=v1.36.0');
      const apply = (...args: string[]) => call(kubectlPath, ['apply', '-n', 'shop', '-f', '-', ...args], rendered);
      expect((await apply()).out.match(/created/g)).toHaveLength(5);
      expect((await apply('--server-side', '--force-conflicts')).out.match(/serverside-applied/g)).toHaveLength(5);
      const diff = await call(kubectlPath, ['diff', '-n', 'shop', '-f', '-'], rendered);
      expect([diff.code, diff.out]).toEqual([0, '']);
    });
  });
