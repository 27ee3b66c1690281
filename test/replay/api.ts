// Starts an embedded server and replays the recorded API cases against it; arguments go on to the replayer.
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createApiServer } from '../../functions/apiserver/app.ts';
import { user } from '../../functions/apiserver/authn/authenticator.ts';
import { authenticatorChain } from '../../functions/apiserver/authn/chain.ts';
import { createTokenAuthority } from '../../functions/apiserver/authn/token-authority.ts';
import { mastersAuthorizer, unionAuthorizer } from '../../functions/apiserver/authz/authorizer.ts';
import { rbacAuthorizer } from '../../functions/apiserver/authz/rbac.ts';
import { seedCluster } from '../../functions/apiserver/seed.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createMemoryStore } from '../../functions/store/memory.ts';
import { createReplicas } from '../../functions/store/replica.ts';

const clock = createSystemClock();
const store = createMemoryStore();
const token = randomBytes(16).toString('hex');
const replicas = createReplicas(store, { clock, bytesMax: 256 << 20, windowChanges: 100_000, windowMs: 600_000 });
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
// The recording's issuer and its administrator, by whose names the cases know them.
const authority = createTokenAuthority({ keyPem, issuer: 'https://k', clock });
const administrator = { ...user('admin', ['system:masters']), uid: 'admin' };
const app = createApiServer({
  store,
  clock,
  replicas,
  authenticator: authenticatorChain({
    tokens: new Map([[token, administrator]]),
    authority,
    replicas,
    clock,
    anonymous: true,
  }),
  authorizer: unionAuthorizer(mastersAuthorizer(), rbacAuthorizer({ replicas, clock })),
  signer: authority,
  disableAdmission: ['ServiceAccount'],
  onFault: (fault, id, info) => console.error(`fault ${id} ${info?.method} ${info?.path}`, fault),
});
await seedCluster({ store, cluster: 'default', clock });

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
