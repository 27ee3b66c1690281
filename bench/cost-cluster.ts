import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { SQSClient } from '@aws-sdk/client-sqs';
import { createRings, type RingSet } from '../agent/doorbell.ts';
import { createAgent } from '../agent/main.ts';
import { CLUSTER_DOMAIN, DNS_IP, nodeIpOf, placeOf } from '../agent/network/addresses.ts';
import { createHollowRuntime } from '../agent/runtime/hollow.ts';
import type { Client } from '../functions/client/client.ts';
import { createClient } from '../functions/client/fetch-client.ts';
import type { Clock } from '../functions/clock/clock.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import { loadAuthority } from '../functions/entry/cloud/authority.ts';
import { createBells } from '../functions/entry/cloud/bells.ts';
import { createFreshReader } from '../functions/entry/cloud/fresh-reader.ts';
import { createDispatchHandler, createWorkHandler } from '../functions/entry/cloud/handlers.ts';
import { createCloudPlane } from '../functions/entry/cloud/plane.ts';
import { createTimerRecords } from '../functions/entry/cloud/timer-records.ts';
import { joinable } from '../functions/entry/cloud/trust.ts';
import { createWork } from '../functions/entry/cloud/work.ts';
import { FRONT_ADDRESSES, FRONT_NAMES, FRONT_SUBJECT } from '../functions/entry/front-names.ts';
import { requestServing } from '../functions/entry/issue.ts';
import { type JoinAnswer, makeJoinToken } from '../functions/entry/join.ts';
import type { Node } from '../functions/machinery/kinds.d.ts';
import { mergedTimers } from '../functions/queue/merged-timers.ts';
import type { Message } from '../functions/queue/queue.ts';
import { createDynamoStore, createPartsReader, ensureTable } from '../functions/store/dynamodb.ts';
import type { DynamoCommand, DynamoSender } from '../functions/store/dynamodb-client.ts';
import type { StreamRecord } from '../functions/store/dynamodb-stream.ts';
import type { DynamoLocal } from '../test/simulation/dynamodb-local.ts';
import type { Usage } from './cost-model.ts';

const NODES = { group: '', version: 'v1', resource: 'nodes' };
const TIMER_MS_MAX = 900_000;
const BATCH = 10;
const LEASE_MS = 300_000;

/** A clock that runs `speed` times as fast as the system's. */
export const fastClock = (speed: number): Clock => {
  const system = createSystemClock();
  const began = system.now();
  return {
    ...system,
    now: () => began + (system.now() - began) * speed,
    sleep: (ms, signal) => system.sleep(ms / speed, signal),
    after: (ms, callback) => system.after(ms / speed, callback),
  };
};

const noUsage = (): Usage => ({
  invocations: {},
  functionMs: 0,
  writeUnits: 0,
  readUnits: 0,
  standardRequests: 0,
  fifoRequests: 0,
});

interface Capacity {
  CapacityUnits?: number;
}

/** Log entries that a command puts, as the table's stream would bring them. */
const recordsOf = (command: DynamoCommand): StreamRecord[] => {
  const input = command.input as {
    Item?: Record<string, unknown>;
    TransactItems?: { Put?: { Item?: Record<string, unknown> } }[];
    RequestItems?: Record<string, { PutRequest?: { Item?: Record<string, unknown> } }[]>;
  };
  const batched = Array.isArray(Object.values(input.RequestItems ?? {})[0])
    ? Object.values(input.RequestItems ?? {}).flat()
    : [];
  const items = [
    input.Item,
    ...(input.TransactItems ?? []).map(({ Put }) => Put?.Item),
    ...batched.map(({ PutRequest }) => PutRequest?.Item),
  ];
  return items.flatMap((NewImage) => (NewImage ? [{ eventName: 'INSERT', dynamodb: { NewImage } }] : []));
};

/** Counts capacity units of every request, and hands over what the stream would bring. */
const countedSender = (
  client: DynamoDBClient,
  usage: () => Usage | undefined,
  onRecords: (records: StreamRecord[]) => void,
) => {
  const send: DynamoSender['send'] = async (command) => {
    Object.assign(command.input, { ReturnConsumedCapacity: 'TOTAL' });
    const answer = await client.send(command as never);
    const { ConsumedCapacity } = answer as { ConsumedCapacity?: Capacity | Capacity[] };
    const units = [ConsumedCapacity ?? []].flat().reduce((all, one) => all + (one.CapacityUnits ?? 0), 0);
    const reads = /^(Get|BatchGet|Query|TransactGet)/.test(command.constructor.name);
    const current = usage();
    if (current) current[reads ? 'readUnits' : 'writeUnits'] += units;
    onRecords(recordsOf(command));
    return answer;
  };
  return { send, destroy: () => client.destroy() } satisfies DynamoSender;
};

export interface CountedCluster {
  client: Client;
  /** Joins a node without containers, whose agent listens at its bell. */
  addNode(name: string): Promise<void>;
  /** What was used since the last call. */
  take(): Usage;
  stop(): Promise<void>;
}

/**
 * A deployment in one process: the handlers of its functions over DynamoDB Local, called as the stream and the queues
 * would call them, at `speed` times the pace of time. Every invocation, capacity unit and queue request is counted.
 */
export const startCounted = async (local: DynamoLocal, speed: number): Promise<CountedCluster> => {
  const clock = fastClock(speed);
  const table = 'cost';
  await ensureTable(local.config, table);
  let usage = noUsage();
  let underWay = 0;
  const invoked = async <T>(name: string, run: () => Promise<T>): Promise<T> => {
    usage.invocations[name] = (usage.invocations[name] ?? 0) + 1;
    const began = performance.now();
    underWay++;
    try {
      return await run();
    } finally {
      underWay--;
      usage.functionMs += performance.now() - began;
    }
  };
  const stopping = new AbortController();
  const records: StreamRecord[] = [];
  let streamed = Promise.resolve();
  const sender = countedSender(
    new DynamoDBClient({ ...local.config, maxAttempts: 1 }),
    // Between invocations the platform freezes a function: what this process asks then, no function would.
    () => (underWay > 0 ? usage : undefined),
    (found) => {
      if (found.length === 0 || stopping.signal.aborted) return;
      records.push(...found);
      streamed = streamed.then(drainStream).catch((error) => console.error(error));
    },
  );
  const system = createSystemClock();
  const store = createDynamoStore({ table, clock: system, client: sender });
  const plane = await createCloudPlane({ store, clock, log: console.error });
  await plane.seed('default');

  const rings = new Map<string, RingSet>();
  const queueOf = new Map<string, string>();
  let listening = '';
  const { config } = new SQSClient({ region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
  const bells = createBells({
    base: 'https://sqs.us-east-1.amazonaws.com/1/cost-bell-',
    client: {
      config,
      send: async (command: { input: { QueueUrl?: string; QueueName?: string; MessageBody?: string } }) => {
        usage.standardRequests++;
        const { QueueUrl = '', QueueName, MessageBody } = command.input;
        if (QueueName) queueOf.set(QueueName, listening);
        else rings.get(queueOf.get(QueueUrl.split('/').at(-1) ?? '') ?? '')?.ring(MessageBody?.split(' ') ?? []);
        return {};
      },
    } as never,
  });

  const waiting: Message[] = [];
  let handling = Promise.resolve();
  const log = (): void => {};
  const deliver = (messages: Message[]): void => {
    waiting.push(...messages);
    handling = handling.then(drainQueue).catch((error) => console.error(error));
  };
  const postpone = (messages: Message[], due: number): void => {
    usage.standardRequests++;
    clock.after(Math.min(due - clock.now(), TIMER_MS_MAX), () => {
      if (stopping.signal.aborted) return;
      // Received, and deleted.
      usage.standardRequests += 2;
      void invoked('timers', async () => queue.send(messages, Math.max(0, due - clock.now())));
    });
  };
  const queue = {
    send: async (messages: Message[], delayMs = 0): Promise<void> => {
      if (delayMs > 500) return postpone(messages, clock.now() + delayMs);
      usage.fifoRequests += Math.ceil(messages.length / BATCH);
      deliver(messages);
    },
  };
  const merged = mergedTimers(queue, createTimerRecords(sender, table), clock);
  const work = createWork(plane, merged, await loadAuthority(store));
  const handleWork = createWorkHandler(work, { log });
  const nodeNames = async (cluster: string): Promise<string[]> =>
    (await createFreshReader(plane.replicas, cluster).list(NODES)).map(({ metadata }) => metadata.name ?? '');
  const handleStream = createDispatchHandler(work, createPartsReader({ table, clock: system, client: sender }), {
    log,
    ring: (domain, changes) => bells.changed(domain, changes, nodeNames),
  });
  const drainStream = async (): Promise<void> => {
    const batch = records.splice(0, 100);
    // The event source's filter lets inserts through, and log entries are the only ones among them but for objects' own.
    if (batch.length > 0) await invoked('dispatcher', () => handleStream({ Records: batch }));
  };
  const drainQueue = async (): Promise<void> => {
    const batch = waiting.splice(0, BATCH);
    if (batch.length === 0) return;
    usage.fifoRequests += 2;
    const Records = batch.map((message, i) => ({ messageId: `${i}`, body: JSON.stringify(message) }));
    const { batchItemFailures } = await invoked('worker', () => handleWork({ Records }));
    const again = batchItemFailures.map(({ itemIdentifier }) => batch[Number(itemIdentifier)]);
    const failed = again.filter((one) => one !== undefined);
    if (failed.length > 0) clock.after(30_000, () => deliver(failed));
  };

  const app = joinable(plane, '', bells);
  const fetch = (request: Request): Promise<Response> => invoked('apiserver', () => app.fetch(request));
  const client = createClient({ fetch, baseUrl: 'https://server', token: plane.adminToken });
  const running: Promise<void>[] = [];
  const addNode = async (name: string): Promise<void> => {
    const { token } = await makeJoinToken(client, clock, { seconds: 3600, prefix: '' });
    const { request } = await requestServing(FRONT_SUBJECT, [...FRONT_NAMES], [...FRONT_ADDRESSES]);
    const post = async (path: string, bearer: string, body?: object): Promise<unknown> => {
      const headers = { authorization: `Bearer ${bearer}` };
      const init = { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) };
      const answer = await fetch(new Request(`https://server/skiff/v1/${path}`, init));
      if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
      return answer.json();
    };
    const joined = (await post('join', token, { node: name, request })) as JoinAnswer;
    listening = name;
    await post('bell', joined.token);
    let podCIDR = '';
    while (!podCIDR) {
      podCIDR = (await client.get<Node>(NODES, '', name))?.spec?.podCIDR ?? '';
      if (!podCIDR) await system.sleep(100);
    }
    const own = createRings(clock);
    rings.set(name, own);
    const agent = createAgent({
      node: {
        name,
        addresses: [{ type: 'InternalIP', address: nodeIpOf(placeOf(podCIDR) ?? 0) }],
        podCIDR,
        capacity: { cpu: '4', memory: '16Gi', pods: '110', 'ephemeral-storage': '100Gi' },
      },
      client: createClient({ fetch, baseUrl: 'https://server', token: joined.token }),
      clock,
      runtime: createHollowRuntime({ clock, podCidr: podCIDR }),
      names: { clusterDns: [DNS_IP], clusterDomain: CLUSTER_DOMAIN, host: { servers: [], searches: [], options: [] } },
      network: { start: async () => {}, onServices: () => {}, health: () => undefined, stop: async () => {} },
      rings: own,
      leaseEveryMs: LEASE_MS,
      onError: (message, error) => console.error(`${name}: ${message}`, error),
    });
    running.push(agent.run(stopping.signal).catch((error) => console.error(error)));
    await agent.registered;
  };
  return {
    client,
    addNode,
    take: () => {
      const taken = usage;
      usage = noUsage();
      return taken;
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
      await streamed;
      await handling;
      await plane.replicas.close();
      await store.close();
    },
  };
};
