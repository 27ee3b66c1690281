// Sends mutated requests to the embedded API server and checks every answer.
//   node test/fuzz/run.ts [--requests N] [--seed S] [--lanes N] [--from I] [--only I] [--verbose]
// The seed is printed; SEED=... or --seed replays it. --only makes the one request of that index.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { definitions } from './custom.ts';
import { createFindings, type Findings } from './findings.ts';
import { createLane } from './lane.ts';
import { type Place, startPlace } from './place.ts';
import { createReader, type Reader } from './read-back.ts';
import { namespaces } from './requests.ts';
import { inProcess } from './transports.ts';
import { startWatchdog } from './watchdog.ts';
import { createWorld } from './world.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '30000' },
    seed: { type: 'string', default: process.env.SEED ?? String(randomInt(2 ** 31)) },
    lanes: { type: 'string', default: '16' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
    progress: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const lanes = Number(values.lanes);
const from = Number(values.only ?? values.from);
const until = values.only === undefined ? from + Number(values.requests) : from + 1;
const STUCK_MS = 30_000;
/** Growth of the heap from the first quarter to the end that is no leak: caches that fill, in MB. */
const HEAP_GROWTH_MB = 40;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
const heapMb = (): number => {
  gc();
  return Math.round(process.memoryUsage().heapUsed / 1e5) / 10;
};

const fail = (error: unknown): never => {
  console.error(error);
  process.exit(2);
};

const expectOk = async (reader: Reader, method: string, path: string, body?: unknown): Promise<void> => {
  const answer = await reader.send(method, path, body === undefined ? {} : { body: JSON.stringify(body) });
  if (answer.status >= 300)
    throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString().slice(0, 500)}`);
};

const prepare = async (reader: Reader): Promise<void> => {
  for (const definition of definitions)
    await expectOk(reader, 'POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
  for (const name of namespaces) {
    await expectOk(reader, 'POST', '/api/v1/namespaces', { metadata: { name } });
    await expectOk(reader, 'POST', `/api/v1/namespaces/${name}/serviceaccounts`, { metadata: { name: 'default' } });
  }
  await expectOk(reader, 'GET', '/apis/fuzz.example/v1/gizmos');
};

/** Removes what the requests have made, so that what is left of the heap is the server's own. */
const sweep = async ({ api }: Place, reader: Reader): Promise<void> => {
  for (const resource of api.server.registry.all('default')) {
    if (!resource.verbs.has('deletecollection') || !resource.namespaced || resource.resource === 'serviceaccounts')
      continue;
    const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
    for (const name of namespaces)
      await reader.send('DELETE', `${root}/namespaces/${name}/${resource.resource}?gracePeriodSeconds=0`);
  }
};

/** After all that, the server still answers as it should. */
const stillServes = async (place: Place, reader: Reader, findings: Findings): Promise<void> => {
  const check = async (what: string, run: () => Promise<void>): Promise<void> => {
    await run().catch((error: Error) => findings.add(`afterwards: ${what}: ${error.message}`, until, ''));
  };
  await check('readyz', () => expectOk(reader, 'GET', '/readyz'));
  const path = '/api/v1/namespaces/fuzz-0/configmaps';
  await check('create', () => expectOk(reader, 'POST', path, { metadata: { name: 'last' }, data: { a: 'b' } }));
  await check('get', () => expectOk(reader, 'GET', `${path}/last`));
  await check('delete', () => expectOk(reader, 'DELETE', `${path}/last`));
  for (const document of ['/openapi/v2', '/openapi/v3', '/apis', '/metrics', '/api/v1'])
    await check(document, () => expectOk(reader, 'GET', document));
  const forms = [
    'application/json',
    'application/json;as=Table;v=v1;g=meta.k8s.io',
    'application/yaml',
    'application/vnd.kubernetes.protobuf',
  ];
  for (const resource of place.api.server.registry.all('default')) {
    if (!resource.verbs.has('list')) continue;
    const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
    for (const accept of resource.custom ? forms.slice(0, 3) : forms)
      await check(`${resource.resource} as ${accept}`, async () => {
        const answer = await reader.send('GET', `${root}/${resource.resource}?limit=50`, { accept });
        if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body.toString().slice(0, 300)}`);
      });
  }
  for (const key in {} as Record<string, unknown>)
    findings.add(`afterwards: every object has a field ${key}`, until, '');
};

const fuzz = async (place: Place, reader: Reader, findings: Findings, statuses: Map<number, number>) => {
  const world = createWorld(place.api.server.registry.all('default'));
  const watchdog = startWatchdog(lanes, STUCK_MS);
  const heaps: number[] = [];
  const everyone = Array.from({ length: lanes }, (_, lane) =>
    createLane({ place, world, findings, seed, lane, statuses, verbose: values.verbose }),
  );
  const part = Math.max(1, Math.ceil((until - from) / 8));
  for (let start = from; start < until; start += part) {
    const end = Math.min(start + part, until);
    const work = everyone.map(async (lane, number) => {
      // A lane always gets the same indices: what it remembers is then the same in a replay.
      for (let index = start; index < end; index++) {
        if (index % lanes !== number) continue;
        watchdog.at(number, index);
        await lane.run(index);
      }
    });
    await Promise.all(work);
    await sweep(place, reader);
    heaps.push(heapMb());
    if (values.progress)
      console.log(`${end} requests, ${findings.count} findings, ${heaps.at(-1)} MB, ${(Date.now() - began) / 1000} s`);
  }
  for (const lane of everyone) lane.close();
  await watchdog.stop();
  return heaps;
};

const findings = createFindings((line) => console.log(line));
const statuses = new Map<number, number>();
process.on('unhandledRejection', (error) =>
  findings.add(`unhandled rejection: ${error}`, -1, error instanceof Error ? (error.stack ?? '') : ''),
);
process.on('uncaughtException', (error) => findings.add(`uncaught: ${error.message}`, -1, error.stack ?? ''));
console.log(`fuzz: ${until - from} requests, SEED=${seed}`);
const began = Date.now();
const place = await startPlace();
const reader = createReader(inProcess(place), place.token);
await prepare(reader).catch((error) => fail([error, ...place.faults()]));
const heaps = await fuzz(place, reader, findings, statuses).catch((error: Error) => {
  findings.add(`the run broke off: ${error.message}`, -1, error.stack ?? '');
  return [];
});
await stillServes(place, reader, findings);
await place.close();
const [warm = 0] = heaps;
const last = heaps.at(-1) ?? 0;
if (values.only === undefined && last > warm + HEAP_GROWTH_MB)
  findings.add(`the heap grew from ${warm} to ${last} MB`, until, heaps.join(', '));
const seconds = (Date.now() - began) / 1000;
console.log(
  [...statuses]
    .sort(([a], [b]) => a - b)
    .map(([status, times]) => `${status}: ${times}`)
    .join(', '),
);
console.log(`heap after each eighth, in MB: ${heaps.join(', ')}; ${seconds.toFixed(1)} s`);
if (findings.count > 0) console.log(`\n${findings.report()}\nSEED=${seed}`);
console.log(`${until - from} requests, ${findings.count} findings`);
process.exit(findings.count > 0 ? 1 : 0);
