// The world of the DynamoDB simulation: one queue of events in simulated time, a network that loses, delays and reorders,
// a table that throttles and conflicts, and processes that crash and freeze. Everything follows from the seed.
import { setImmediate as turn } from 'node:timers/promises';
import { BatchGetItemCommand, TransactWriteItemsCommand } from '@aws-sdk/client-dynamodb';
import type { Clock } from '../../functions/clock/clock.ts';
import type { DynamoCommand, DynamoSender } from '../../functions/store/dynamodb-client.ts';
import type { Item } from './dynamodb-expressions.ts';
import { createFakeTable, type FakeTable, failure, nameOf, type Observer, type Prepared } from './dynamodb-fake.ts';

/** Chances of each fault for one request, and how long things take, in milliseconds. */
export interface Faults {
  requestLost: number;
  replyLost: number;
  /** The caller's connection ends while the request goes on and happens later. */
  late: number;
  lateMsMax: number;
  throttled: number;
  /** The service answers 500; the request happened or not. */
  broken: number;
  conflict: number;
  unprocessed: number;
  crash: number;
  freeze: number;
  freezeMsMax: number;
  latencyMsMax: number;
  /** Processes' clocks differ from the table's by so much at most. */
  skewMsMax: number;
}

interface Event {
  at: number;
  order: number;
  run: () => void;
}

/** Events by time, then by when they were put in. */
const createAgenda = () => {
  const heap: Event[] = [];
  const before = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order);
  const up = (from: number): void => {
    let i = from;
    for (let parent = (i - 1) >> 1; i > 0; parent = (i - 1) >> 1) {
      const [one, two] = [heap[i], heap[parent]];
      if (!one || !two || !before(one, two)) return;
      heap[i] = two;
      heap[parent] = one;
      i = parent;
    }
  };
  const down = (): void => {
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        const [one, two] = [heap[child], heap[least]];
        if (one && two && before(one, two)) least = child;
      }
      const [one, two] = [heap[i], heap[least]];
      if (least === i || !one || !two) return;
      heap[i] = two;
      heap[least] = one;
      i = least;
    }
  };
  return {
    push: (event: Event): void => {
      heap.push(event);
      up(heap.length - 1);
    },
    pop: (): Event | undefined => {
      const first = heap[0];
      const last = heap.pop();
      if (heap.length > 0 && last) {
        heap[0] = last;
        down();
      }
      return first;
    },
  };
};

/** A process: its clock, its way to the table. Nothing of it goes on after a crash but requests under way. */
export interface Process {
  id: number;
  clock: Clock;
  client: DynamoSender;
  alive(): boolean;
  crash(): void;
}

export interface World {
  table: FakeTable;
  /** Milliseconds, the table's clock. */
  now(): number;
  random(): number;
  after(ms: number, run: () => void): void;
  process(): Process;
  /** No more faults from here on; requests under way still happen. */
  calm(): void;
  /** Runs events until `done`, or no event is left, or the time is over (then it throws). */
  run(done: () => boolean, msMax: number): Promise<void>;
  /** Requests that the table has answered. */
  requests(): number;
  crashes(): number;
}

/** Every promise that is due has run, without a turn of the event loop, which costs more than the event itself. */
const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
/** A turn now and then lets the runtime clean up. */
const eventsPerTurn = 500;

const lost = (): Error => Object.assign(new Error('socket hang up'), { name: 'TimeoutError' });
const serviceError = () => failure('InternalServerError', 'Internal server error', {}, 500);
const throttle = (command: DynamoCommand, random: () => number): Error => {
  const [Code, name] =
    random() < 0.5
      ? ['ThrottlingError', 'ThrottlingException']
      : ['ProvisionedThroughputExceeded', 'ProvisionedThroughputExceededException'];
  if (!(command instanceof TransactWriteItemsCommand) || random() < 0.3) return failure(name, 'Throttled');
  const reasons = (command.input.TransactItems ?? []).map((_, i) => ({ Code: i === 0 ? Code : 'None' }));
  return failure('TransactionCanceledException', 'Transaction cancelled', { CancellationReasons: reasons });
};

export const createWorld = (random: () => number, faults: Faults, observe: Observer, applied: () => void): World => {
  const agenda = createAgenda();
  let now = Date.UTC(2026, 0, 1);
  let order = 0;
  let calm = false;
  let requests = 0;
  let crashes = 0;
  let processes = 0;
  const chance = (part: number): boolean => !calm && random() < part;
  const after = (ms: number, run: () => void): void => agenda.push({ at: now + Math.max(0, ms), order: order++, run });
  /** Mostly short, now and then very long. */
  const latency = (): number => (chance(0.05) ? 10 : 1) * random() * faults.latencyMsMax;
  /** What stood there before, which a read that does not ask for consistency may see. */
  const previous = new Map<string, Item | undefined>();
  const table = createFakeTable({
    observe: (next, old) => {
      previous.set(nameOf(next ?? old ?? {}), old);
      observe(next, old);
    },
    stale: (name, current) => (random() < 0.5 && previous.has(name) ? previous.get(name) : current),
    pageItems: () => (calm ? 1_000_000 : 1 + Math.floor(random() * 12)),
    unprocessed: () => chance(faults.unprocessed),
  });

  type Reply = { answer: object } | { error: unknown };
  const execute = (run: () => object): Reply => {
    try {
      return { answer: run() };
    } catch (error) {
      return { error };
    }
  };
  /** What keeps the table from looking at a request at all. */
  const refusal = (command: DynamoCommand): Error | undefined => {
    if (chance(faults.throttled)) return throttle(command, random);
    if (chance(faults.broken / 2)) return serviceError();
    if (!(command instanceof TransactWriteItemsCommand) || !chance(faults.conflict)) return undefined;
    const reasons = (command.input.TransactItems ?? []).map(() => ({ Code: 'TransactionConflict' }));
    return failure('TransactionCanceledException', 'Transaction cancelled', { CancellationReasons: reasons });
  };
  /** The table works at a request from its arrival on; `reply` is called when it is done. */
  const arrive = (command: DynamoCommand, reply: (made: Reply) => void): void => {
    requests++;
    const error = refusal(command);
    const told = (made: Reply): void => reply(chance(faults.broken / 2) ? { error: serviceError() } : made);
    if (error) reply({ error });
    else if (command instanceof TransactWriteItemsCommand) {
      const made = execute(() => table.prepare(command));
      if ('error' in made) told(made);
      else
        after(random() * faults.latencyMsMax, () => {
          (made.answer as Prepared).finish();
          told({ answer: {} });
        });
    } else if (command instanceof BatchGetItemCommand && chance(0.3)) readInTwo(command, told);
    else told(execute(() => table.execute(command)));
  };
  /** A batch of reads sees its items at different moments. */
  const readInTwo = (command: BatchGetItemCommand, told: (made: Reply) => void): void => {
    const [[name = '', request] = []] = Object.entries(command.input.RequestItems ?? {});
    const keys = request?.Keys ?? [];
    const half = Math.floor(keys.length / 2);
    const part = (some: typeof keys): Partial<Answer> =>
      some.length === 0
        ? {}
        : (table.execute(new BatchGetItemCommand({ RequestItems: { [name]: { ...request, Keys: some } } })) as Answer);
    type Answer = { Responses: Record<string, object[]>; UnprocessedKeys: Record<string, { Keys: object[] }> };
    const first = part(keys.slice(0, half));
    after(random() * faults.latencyMsMax, () => {
      const second = part(keys.slice(half));
      const left = [first, second].flatMap((some) => some.UnprocessedKeys?.[name]?.Keys ?? []);
      const found = [first, second].flatMap((some) => some.Responses?.[name] ?? []);
      const UnprocessedKeys = left.length > 0 ? { [name]: { ...request, Keys: left } } : {};
      told({ answer: { Responses: { [name]: found }, UnprocessedKeys } });
    });
  };

  const start = (): Process => {
    const id = processes++;
    const skew = (random() * 2 - 1) * faults.skewMsMax;
    let alive = true;
    let frozenUntil = 0;
    const crash = (): void => {
      if (alive) crashes++;
      alive = false;
    };
    /** What happens inside the process: not while it is frozen, and never after a crash. */
    const inside = (ms: number, run: () => void): void =>
      after(ms, () => {
        if (!alive) return;
        if (now < frozenUntil) inside(frozenUntil - now, run);
        else run();
      });
    const fate = (): boolean => {
      if (chance(faults.crash)) crash();
      else if (chance(faults.freeze)) frozenUntil = now + random() * faults.freezeMsMax;
      return alive;
    };
    const send = (command: DynamoCommand): Promise<never> =>
      new Promise((resolve, reject) => {
        if (!fate()) return;
        const answered = (made: Reply): void => {
          if (chance(faults.replyLost)) inside(latency() + 1000, () => reject(lost()));
          else
            inside(latency(), () => {
              if (!fate()) return;
              if ('error' in made) reject(made.error);
              else resolve(made.answer as never);
            });
        };
        const gone = chance(faults.requestLost);
        const late = !gone && chance(faults.late);
        if (gone || late) inside(latency() + 1000, () => reject(lost()));
        if (late) after(random() * faults.lateMsMax, () => arrive(command, () => undefined));
        if (!gone && !late) after(latency(), () => arrive(command, answered));
      });
    const clock: Clock = {
      now: () => Math.floor(now + skew),
      sleep: (ms) => new Promise((resolve) => inside(ms, resolve)),
      after: (ms, callback) => {
        let cancelled = false;
        inside(ms, () => {
          if (!cancelled) callback();
        });
        return () => {
          cancelled = true;
        };
      },
      uuid: () => `p${id}`,
      random,
    };
    return { id, clock, client: { send }, alive: () => alive, crash };
  };

  return {
    table,
    now: () => now,
    random,
    after,
    process: start,
    calm: () => {
      calm = true;
    },
    run: async (done, msMax) => {
      const until = now + msMax;
      for (let events = 1; !done(); events++) {
        if (events % eventsPerTurn === 0) await turn();
        const event = agenda.pop();
        if (!event) return;
        if (event.at > until) throw new Error('it does not come to an end');
        now = Math.max(now, event.at);
        event.run();
        applied();
        await settled();
      }
    },
    requests: () => requests,
    crashes: () => crashes,
  };
};
