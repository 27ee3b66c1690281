// The Python client in a virtual environment: the checks are in python/client.py.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { describeTool } from './describe-tool.ts';
import { run, type Server, startServer } from './server.ts';

const PROGRAM = join(import.meta.dirname, 'python/client.py');
const CHECKS = ['crud', 'pages', 'watches', 'workloads', 'dynamics', 'documents'];

describeTool(inject('clientTools').python, 'the Python client', (python) => {
  let server: Server;
  const results = new Map<string, string | undefined>();
  beforeAll(async () => {
    server = await startServer();
    const env = { KUBECONFIG: server.kubeconfig, HOME: server.scratch };
    const { code, out, err } = await run(python, [PROGRAM], { env, ms: 120_000 });
    if (code !== 0) throw new Error(err);
    for (const line of out.trim().split('\n')) {
      const { check, error } = JSON.parse(line) as { check: string; error?: string };
      results.set(check, error);
    }
  });
  afterAll(() => server?.stop());

  it.each(CHECKS)('%s', (name) => {
    expect(results.has(name)).toBe(true);
    expect(results.get(name)).toBeUndefined();
  });
});
