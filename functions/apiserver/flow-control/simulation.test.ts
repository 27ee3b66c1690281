import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../clock/simulated.ts';
import { type Asked, createFlowWorld, level, schema } from './flow-for-tests.ts';

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

const POLITE = Array.from({ length: 9 }, (_, i) => `polite-${i}`);

/** Answers requests after `serviceMs` each, in one-millisecond steps; polite users ask again and again, one at a time. */
const serve = async (
  world: Awaited<ReturnType<typeof createFlowWorld>>,
  options: { ms: number; serviceMs: number; flood: () => Asked[]; polite: readonly string[] },
) => {
  const running = new Map<Asked, number>();
  const waiting = new Set<Asked>();
  const latencies = new Map<string, number[]>();
  const current = new Map<string, Asked>();
  let refused = 0;
  const begun = new Map<string, number>();
  for (let t = 0; t < options.ms; t++) {
    for (const asked of options.flood()) waiting.add(asked);
    for (const name of options.polite)
      if (!current.has(name)) {
        const asked = world.ask(name);
        current.set(name, asked);
        waiting.add(asked);
      }
    while (await world.turn());
    for (const asked of waiting) {
      if (!asked.pass) continue;
      waiting.delete(asked);
      if (asked.pass.refusal) {
        refused++;
        current.delete(asked.username);
        continue;
      }
      running.set(asked, world.clock.now() + options.serviceMs);
      begun.set(asked.username, (begun.get(asked.username) ?? 0) + 1);
    }
    await world.clock.advance(1);
    for (const [asked, until] of running) {
      if (world.clock.now() < until) continue;
      running.delete(asked);
      asked.end();
      if (!current.has(asked.username)) continue;
      current.delete(asked.username);
      const list = latencies.get(asked.username) ?? [];
      list.push(world.clock.now() - asked.askedAt);
      latencies.set(asked.username, list);
    }
  }
  return { latencies, refused, begun, running, waiting };
};

describe('one flooding user and nine polite ones', () => {
  it('share a level: the polite wait for little, the flood is refused', async () => {
    const everyone = ['flooder', ...POLITE];
    const world = await createFlowWorld({
      default: [level('narrow', 5, [64, 6, 10]), schema('both', 'narrow', 500, everyone)],
    });
    const { latencies, refused, begun } = await serve(world, {
      ms: 600,
      serviceMs: 10,
      flood: () => Array.from({ length: 10 }, () => world.ask('flooder')),
      polite: POLITE,
    });
    expect(world.level('narrow').nominal).toBe(12);
    expect(refused).toBeGreaterThan(3000);
    for (const name of POLITE) {
      const own = latencies.get(name) ?? [];
      // Each has one request at a time: 10 ms of service, and at most two others' before it.
      expect(own.length).toBeGreaterThan(25);
      expect(Math.max(...own)).toBeLessThanOrEqual(40);
    }
    // What nobody else uses is the flooder's: 12 seats serve 720 requests in 600 ms.
    const all = [...begun.values()].reduce((a, b) => a + b, 0);
    expect(all).toBeGreaterThan(650);
  });
});

describe('two levels', () => {
  it('do not take each other’s seats beyond what is lent', async () => {
    const world = await createFlowWorld({
      default: [
        level('narrow', 5, [8, 4, 5]),
        level('other', 5, [8, 4, 5]),
        schema('flood', 'narrow', 500, ['flooder']),
        schema('rest', 'other', 501, POLITE),
      ],
    });
    const { latencies } = await serve(world, {
      ms: 200,
      serviceMs: 10,
      flood: () => Array.from({ length: 10 }, () => world.ask('flooder')),
      polite: POLITE,
    });
    for (const name of POLITE) expect(Math.max(...(latencies.get(name) ?? [99]))).toBe(10);
  });
});

it('gives two flows the same seats, not the same number of requests', async () => {
  const world = await createFlowWorld({
    default: [level('wide', 100, [64, 2, 1000]), schema('both', 'wide', 500, ['lists', 'gets'])],
  });
  const domain = { cluster: 'default', group: '', resource: 'configmaps' };
  const index = { labels: {}, fields: {}, owners: [] };
  const bytes = () => Buffer.from('{}');
  const writes = Array.from({ length: 800 }, (_, i) => ({ op: 'create' as const, key: `a/c${i}`, index, bytes }));
  await world.store.commit(domain, writes);
  await world.replicas.of(domain);
  // As long as a request is taken to run: what counts is what was foreseen.
  const { begun } = await serve(world, {
    ms: 120,
    serviceMs: 3,
    flood: () => [
      ...Array.from({ length: 40 }, () => world.ask('lists', '/api/v1/namespaces/a/configmaps')),
      ...Array.from({ length: 160 }, () => world.ask('gets')),
    ],
    polite: [],
  });
  const ratio = (begun.get('gets') ?? 0) / (8 * (begun.get('lists') ?? 0));
  expect(ratio).toBeGreaterThan(0.8);
  expect(ratio).toBeLessThan(1.3);
});

/** Everything that is counted agrees with what is there. */
const check = (world: Awaited<ReturnType<typeof createFlowWorld>>, clusters: readonly string[]): void => {
  for (const cluster of clusters) {
    for (const one of world.flow.state(cluster)?.levels.values() ?? []) {
      let waiting = 0;
      let waitingSeats = 0;
      for (const queue of one.active) {
        let length = 0;
        for (let turn = queue.first; turn; turn = turn.next) {
          length++;
          waitingSeats += turn.seats;
          expect(turn.state).toBe('waiting');
        }
        expect(length).toBe(queue.length);
        expect(length).toBeLessThanOrEqual(one.settings.queueLengthMax);
        waiting += length;
      }
      let seats = 0;
      for (const turn of one.running) seats += turn.seats;
      expect([waiting, waitingSeats]).toEqual([one.waiting, one.waitingSeats]);
      expect(one.executing).toBe(one.running.size);
      expect(one.seatsInUse).toBeGreaterThanOrEqual(seats);
      // Free seats and somebody who waits: only where what is next is wider than what is free, or waits for the thread.
      if (one.waiting > 0 && one.paced.length === one.pacedFrom) expect(one.seatsInUse + 10).toBeGreaterThan(one.limit);
    }
  }
};

it(`no seat is lost in 100,000 random events (SEED=${SEED})`, { timeout: 60_000 }, async () => {
  const random = seededRandom(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const clusters = ['default', 'team-a', 'team-b'];
  const users = ['u1', 'u2', 'u3', 'u4', 'u5', 'admin', 'nobody'];
  const objects = [
    level('narrow', 2, [8, 3, 6]),
    level('hard', 1),
    schema('narrow', 'narrow', 500, ['u1', 'u2', 'u3']),
    schema('hard', 'hard', 501, ['u4']),
    schema('spaces', 'narrow', 502, ['u5'], 'ByNamespace'),
  ];
  const world = await createFlowWorld(Object.fromEntries(clusters.map((name) => [name, objects])), { seed: SEED });
  let open: Asked[] = [];
  const paths = [
    '/api/v1/namespaces/a/pods/p',
    '/api/v1/namespaces/b/pods',
    '/api/v1/namespaces/a/pods/p?timeout=200ms',
  ];
  for (let i = 0; i < 100_000; i++) {
    const dice = random();
    if (dice < 0.5) open.push(world.ask(pick(users), pick(paths), pick(clusters), pick(['GET', 'GET', 'DELETE'])));
    else if (dice < 0.85 && open.length > 0) {
      const asked = pick(open);
      if (asked.pass) {
        asked.end(pick([200, 404, 500]));
        open = open.filter((one) => one !== asked);
      }
    } else if (dice < 0.88 && open.length > 0) pick(open).abort();
    else if (dice < 0.93) await world.turn();
    else if (dice < 0.95) await world.clock.advance(Math.floor(random() * 50));
    else await world.settle();
    if (open.length > 600) {
      for (const asked of open) if (asked.pass) asked.end();
      open = open.filter((one) => !one.pass);
      while (await world.turn());
    }
    if (i % 500 === 0) check(world, clusters);
  }
  for (let rounds = 0; open.length > 0 && rounds < 10_000; rounds++) {
    while (await world.turn());
    for (const asked of open) if (asked.pass) asked.end();
    open = open.filter((one) => !one.pass);
    await world.clock.advance(10);
  }
  expect(open).toEqual([]);
  await world.clock.advance(60_000);
  for (const cluster of clusters) {
    const flow = world.flow.state(cluster);
    expect(flow?.waiting).toBe(0);
    expect(flow?.lane.waiting).toBe(0);
    for (const one of flow?.levels.values() ?? []) {
      expect([one.name, one.seatsInUse, one.executing, one.waiting, one.waitingSeats]).toEqual([one.name, 0, 0, 0, 0]);
      expect(one.active).toEqual([]);
    }
    for (const { counts } of flow?.schemas ?? [])
      expect([counts.executing, counts.executingSeats, counts.waiting, counts.waitingSeats]).toEqual([0, 0, 0, 0]);
  }
});
