// client-go and controller-runtime against a server of hollow nodes: the checks are in go/, one test a check.
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { describeTool } from './describe-tool.ts';
import { type Server, startServer } from './server.ts';

interface Line {
  check?: string;
  error?: string;
  restart?: boolean;
}

/** Runs every check; the server is restarted when one asks for it. */
const runChecks = async (program: string, server: Server): Promise<Map<string, string | undefined>> => {
  const env = { ...process.env, KUBECONFIG: server.kubeconfig };
  const child = spawn(program, [], { env, stdio: ['pipe', 'pipe', 'inherit'], timeout: 300_000 });
  const results = new Map<string, string | undefined>();
  for await (const text of createInterface(child.stdout)) {
    const line = JSON.parse(text) as Line;
    if (line.check !== undefined) results.set(line.check, line.error);
    if (!line.restart) continue;
    await server.restart();
    child.stdin.write('restarted\n');
  }
  return results;
};

describeTool(inject('clientTools').clients, 'client-go', (path) => {
  const listed = path === '' ? '' : spawnSync(path, ['-list'], { encoding: 'utf8' }).stdout;
  let server: Server;
  let results = new Map<string, string | undefined>();
  beforeAll(async () => {
    server = await startServer();
    results = await runChecks(path, server);
  });
  afterAll(() => server?.stop());

  it('lists its checks', () => {
    expect(listed.trim().split('\n').length).toBeGreaterThan(30);
  });
  for (const name of listed.trim().split('\n').filter(Boolean))
    it(name, () => {
      expect(results.has(name)).toBe(true);
      expect(results.get(name)).toBeUndefined();
    });
});
