// Starts an embedded server and replays the recorded API cases against it; arguments go on to the replayer.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createApiServer } from '../../functions/apiserver/app.ts';
import { staticTokens, user } from '../../functions/apiserver/authn/authenticator.ts';
import { mastersAuthorizer } from '../../functions/apiserver/authz/authorizer.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import { createReplicas } from '../../functions/store/replica.ts';

const clock = createSystemClock();
const store = createMemoryStore();
const token = randomBytes(16).toString('hex');
const app = createApiServer({
  store,
  clock,
  replicas: createReplicas(store, { clock, bytesMax: 256 << 20, windowChanges: 100_000, windowMs: 600_000 }),
  authenticator: staticTokens(new Map([[token, { ...user('admin', ['system:masters']), uid: 'admin' }]])),
  authorizer: mastersAuthorizer(),
  disableAdmission: ['ServiceAccount'],
  onFault: (fault, id, info) => console.error(`fault ${id} ${info?.method} ${info?.path}`, fault),
});

const server = createServer((req, res) => {
  const headers = new Headers();
  for (const [name, value] of Object.entries(req.headers)) headers.set(name, String(value));
  const abort = new AbortController();
  res.on('close', () => abort.abort());
  const hasBody = req.method !== 'GET' && req.method !== 'HEAD';
  // A Request cannot carry TRACE; the server answers it as any method that no resource has.
  const init = {
    method: req.method === 'TRACE' ? 'PROPFIND' : (req.method ?? 'GET'),
    headers,
    signal: abort.signal,
    ...(hasBody && { body: Readable.toWeb(req), duplex: 'half' }),
  };
  void app.fetch(new Request(`http://server${req.url}`, init as RequestInit)).then(async (response) => {
    res.writeHead(response.status, Object.fromEntries(response.headers));
    for await (const chunk of response.body ?? []) res.write(chunk);
    res.end();
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
const address = server.address();
const port = typeof address === 'object' && address ? address.port : 0;

const send = (path: string, body: object) =>
  app.fetch(
    new Request(`http://server${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  );
for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease'])
  await send('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
for (const [name, value] of [
  ['system-cluster-critical', 2_000_000_000],
  ['system-node-critical', 2_000_001_000],
] as const)
  await send('/apis/scheduling.k8s.io/v1/priorityclasses', {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value,
  });

// With --floors the run passes when no area falls below its committed floor; without, when every case passes.
const floorsFile = join(import.meta.dirname, 'api-floors.json');
const against = process.argv.includes('--floors');
const own = process.argv.slice(2).filter((argument) => argument !== '--floors');
// Most cases wait for something (a watch's end, a condition), so many run at once.
const given = own.includes('--workers') ? own : [...own, '--workers', '24'];

const belowFloor = (report: string): string[] => {
  const floors = JSON.parse(readFileSync(floorsFile, 'utf8')) as Record<string, number>;
  const passed = new Map<string, number>();
  for (const [, area = '', count = ''] of report.matchAll(/^(\w+): (\d+) passed, \d+ failed$/gm))
    passed.set(area, Number(count));
  const asked = given.includes('--area') ? [given[given.indexOf('--area') + 1] ?? ''] : Object.keys(floors);
  return asked
    .filter((area) => (passed.get(area) ?? 0) < (floors[area] ?? 0))
    .map((area) => `${area}: ${passed.get(area) ?? 0} passed, its floor is ${floors[area]}`);
};

const replayer = join(import.meta.dirname, '../behaviour/replay.mjs');
const child = spawn(process.execPath, [replayer, ...given, '--server', `http://127.0.0.1:${port}`, '--token', token], {
  stdio: ['inherit', 'pipe', 'inherit'],
});
let report = '';
child.stdout.on('data', (chunk: Buffer) => {
  report += chunk;
  process.stdout.write(chunk);
});
child.on('close', (code) => {
  server.close();
  server.closeAllConnections();
  const finished = /^\d+ passed, \d+ failed$/m.test(report);
  const below = against && finished ? belowFloor(report) : [];
  for (const line of below) console.error(`below its floor: ${line}`);
  process.exitCode = against && finished ? Number(below.length > 0) : (code ?? 1);
  setTimeout(() => process.exit(), 100).unref();
});
