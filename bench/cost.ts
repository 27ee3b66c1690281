// What the cloud mode costs: npm run cost [-- --write]. Runs the handlers of the deployed functions over DynamoDB Local at
// many times the pace of time, counts what AWS would bill, and prices it; --write puts the tables into docs/cost.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DEPLOYMENTS, isPodReady, PODS } from '../cli/demo/context.ts';
import type { Client } from '../functions/client/client.ts';
import type { Pod } from '../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../functions/machinery/object.ts';
import { startDynamoLocal } from '../test/simulation/dynamodb-local.ts';
import { type CountedCluster, startCounted } from './cost-cluster.ts';
import {
  type Bill,
  bells,
  bill,
  eks,
  fixed,
  fixedWithFreeTier,
  MONTH_HOURS,
  PRICES,
  storage,
  sum,
  type Usage,
} from './cost-model.ts';

const DOCUMENT = join(import.meta.dirname, '../docs/cost.md');
const BEGIN = '<!-- figures: written by npm run cost -- --write -->';
const END = '<!-- /figures -->';
/** Clusters end by then to settle after their pods run, in minutes of their own time. */
const SETTLE_MINUTES = 6;

interface Scenario {
  name: string;
  nodes: number;
  podsPerNode: number;
  /** Pace of time, and how long is measured in minutes of the cluster's own time. */
  speed: number;
  minutes: number;
  /** What its users do in a month: an assumption, not a measurement. */
  rollouts: number;
  /** Bytes in the table: objects, and an hour of log. */
  storedBytes: number;
}

const scenarios: Scenario[] = [
  { name: 'idle', nodes: 0, podsPerNode: 0, speed: 60, minutes: 15, rollouts: 0, storedBytes: 1e6 },
  { name: 'lab, 3 nodes', nodes: 3, podsPerNode: 10, speed: 60, minutes: 20, rollouts: 20 * 30, storedBytes: 1e7 },
  { name: '100 nodes', nodes: 100, podsPerNode: 10, speed: 20, minutes: 10, rollouts: 200 * 30, storedBytes: 2e8 },
];

const deploymentOf = (name: string, replicas: number): KubeObject =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'web' }] } },
    },
  }) as KubeObject;

const ready = async (client: Client, name: string, count: number): Promise<void> => {
  for (let tries = 0; ; tries++) {
    const { items } = await client.list<Pod>(PODS, { namespace: 'default', labelSelector: `app=${name}` });
    if (items.filter(isPodReady).length === count) return;
    if (tries > 600) throw new Error(`${items.filter(isPodReady).length} of ${count} pods of ${name} are ready`);
    await delay(200);
  }
};

interface Measured {
  scenario: Scenario;
  /** Per hour of the cluster's own time, when nobody does anything. */
  hour: Usage;
  /** Of one deployment of three pods, from create to Ready; absent without nodes. */
  rollout?: Usage;
}

const scaled = (usage: Usage, by: number): Usage => ({
  invocations: Object.fromEntries(Object.entries(usage.invocations).map(([name, count]) => [name, count * by])),
  functionMs: usage.functionMs * by,
  writeUnits: usage.writeUnits * by,
  readUnits: usage.readUnits * by,
  standardRequests: usage.standardRequests * by,
  fifoRequests: usage.fifoRequests * by,
});

const populate = async (cluster: CountedCluster, { nodes, podsPerNode }: Scenario): Promise<void> => {
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'default', name: 'default' } };
  const accounts = { group: '', version: 'v1', resource: 'serviceaccounts' };
  await cluster.client.create(accounts, account).catch(() => {});
  for (let i = 0; i < nodes; i++) await cluster.addNode(`node-${i}`);
  const pods = nodes * podsPerNode;
  if (pods === 0) return;
  await cluster.client.create(DEPLOYMENTS, deploymentOf('web', pods));
  await ready(cluster.client, 'web', pods);
};

const measure = async (scenario: Scenario): Promise<Measured> => {
  const local = await startDynamoLocal();
  const cluster = await startCounted(local, scenario.speed);
  const minutes = (count: number) => delay((count * 60_000) / scenario.speed);
  try {
    await populate(cluster, scenario);
    await minutes(SETTLE_MINUTES);
    cluster.take();
    await minutes(scenario.minutes);
    const hour = scaled(cluster.take(), 60 / scenario.minutes);
    if (scenario.nodes === 0) return { scenario, hour };
    // The objects only: this process asks every 200 ms whether they are ready, which no user does.
    await cluster.client.create(DEPLOYMENTS, deploymentOf('more', 3));
    await minutes(1);
    const rollout = cluster.take();
    await ready(cluster.client, 'more', 3);
    return { scenario, hour, rollout };
  } finally {
    await cluster.stop();
    await local.stop();
  }
};

const monthOf = ({ scenario, hour, rollout }: Measured): Bill => {
  const parts: Bill = { ...bill(hour, MONTH_HOURS), ...storage(scenario.storedBytes) };
  if (scenario.nodes > 0) Object.assign(parts, bells(scenario.nodes));
  if (rollout) parts.Rollouts = sum(bill(rollout, scenario.rollouts));
  return parts;
};

const money = (amount: number): string => (amount === 0 ? '0' : amount < 0.01 ? amount.toFixed(5) : amount.toFixed(2));
const row = (...cells: (string | number)[]): string => `| ${cells.join(' | ')} |`;
const count = (amount: number): string => (amount >= 100 ? Math.round(amount).toString() : amount.toFixed(1));

const tables = (measured: Measured[]): string => {
  const names = measured.map(({ scenario }) => scenario.name);
  const bills = measured.map(monthOf);
  const lines = [...new Set(bills.flatMap((one) => Object.keys(one)))];
  const usage: [string, (of: Usage) => number][] = [
    ...['apiserver', 'dispatcher', 'worker', 'timers'].map(
      (name) => [`invocations of ${name}`, (of: Usage) => of.invocations[name] ?? 0] as [string, (of: Usage) => number],
    ),
    ['milliseconds of functions', (of) => of.functionMs],
    ['DynamoDB write units', (of) => of.writeUnits],
    ['DynamoDB read units', (of) => of.readUnits],
    ['requests to FIFO queues', (of) => of.fifoRequests],
    ['requests to standard queues', (of) => of.standardRequests],
  ];
  const line = (...cells: string[]) => row(...cells);
  return [
    `Measured ${new Date().toISOString().slice(0, 10)}, Node.js ${process.versions.node}, DynamoDB Local.`,
    '',
    'Used in an hour in which nobody does anything:',
    '',
    line('', ...names),
    line('---', ...names.map(() => '---:')),
    ...usage.map(([what, of]) => line(what, ...measured.map(({ hour }) => count(of(hour))))),
    '',
    'Dollars per cluster and month:',
    '',
    line('', ...names),
    line('---', ...names.map(() => '---:')),
    ...lines.map((name) => line(name, ...bills.map((one) => money(one[name] ?? 0)))),
    line('**together**', ...bills.map((one) => `**${money(sum(one))}**`)),
    line(
      'per node',
      ...measured.map((m, i) => (m.scenario.nodes ? money(sum(bills[i] ?? {}) / m.scenario.nodes) : '')),
    ),
    line(`EKS, control plane only`, ...names.map(() => money(eks()))),
    '',
    'Dollars per deployment and month, whatever its clusters do:',
    '',
    line('', 'without free tiers', 'with them'),
    line('---', '---:', '---:'),
    ...Object.entries(fixed()).map(([name, amount]) =>
      line(name, money(amount), money(fixedWithFreeTier()[name] ?? 0)),
    ),
    '',
    'Prices:',
    '',
    line('dollars', 'for', 'source'),
    line('---:', '---', '---'),
    ...Object.values(PRICES).map(({ dollars, per, unit, source }) =>
      line(`${dollars}`, `${per === 1 ? 'one of' : 'a million'} ${unit}`, source),
    ),
  ].join('\n');
};

const measured: Measured[] = [];
const only = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
for (const scenario of scenarios.filter(({ name }) => only.length === 0 || only.some((one) => name.includes(one)))) {
  const one = await measure(scenario);
  measured.push(one);
  console.log(JSON.stringify({ bench: `cost ${scenario.name}`, hour: one.hour, dollars: sum(monthOf(one)) }));
}
const written = tables(measured);
console.log(written);
if (process.argv.includes('--write')) {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [before, rest] = [text.slice(0, text.indexOf(BEGIN)), text.slice(text.indexOf(END))];
  writeFileSync(DOCUMENT, `${before}${BEGIN}\n\n${written}\n\n${rest}`);
}
const idle = measured.find(({ scenario }) => scenario.nodes === 0);
process.exit(idle && sum(monthOf(idle)) >= 0.1 ? 1 : 0);
