import type { Client } from '../client/client.ts';
import type { Reader } from '../client/reader.ts';
import type { Clock } from '../clock/clock.ts';
import { type KubeObject, parseKey } from '../machinery/object.ts';
import { StatusError } from '../machinery/status.ts';
import type { Message, Queue } from '../queue/queue.ts';
import { applyWrites } from './apply.ts';
import type { Controller, EventDraft, Plan } from './controller.ts';
import { createEventRecorder, type EventRecorder } from './events.ts';
import { createOwnWrites } from './own-writes.ts';

export interface RunnerOptions {
  // biome-ignore lint/suspicious/noExplicitAny: each controller has its own Observed, which only it sees
  controllers: readonly Controller<any>[];
  reader: (cluster: string) => Reader;
  client: (cluster: string) => Client;
  clock: Clock;
  /** Gets delayed and requeued messages. */
  queue: Pick<Queue, 'send'>;
  recorder?: EventRecorder;
  onRun?: (run: RunReport) => void;
}

/** What one handled message did, for metrics and tests. */
export interface RunReport {
  message: Message;
  outcome: 'nothing' | 'applied' | 'lost' | 'refused' | 'behind';
  writes: number;
  ms: number;
}

export interface Runner {
  /** Looks at one key: observe, decide, apply. Rejects when the key must be retried with back-off. */
  handle(message: Message): Promise<void>;
}

/** How long a key waits for the reader to show its own last writes before it goes back to the queue. */
const ownWritesWaitMs = 2_000;

/** A key whose reader lags behind the key's own writes; the queue tries again. */
export class ReaderBehindError extends Error {}

/** Another writer was first: expected now and then, and no fault. The queue's back-off gives the reader time to see it. */
export class LostRaceError extends Error {}

/** The generic runner: every controller is observe, decide (pure), apply; this is the only place that writes. */
export const createRunner = (options: RunnerOptions): Runner => {
  const { clock } = options;
  const controllers = new Map(options.controllers.map((c) => [c.name, c]));
  const recorder = options.recorder ?? createEventRecorder(clock);
  const own = createOwnWrites();

  const report = (message: Message, outcome: RunReport['outcome'], writes: number, since: number) =>
    options.onRun?.({ message, outcome, writes, ms: clock.now() - since });

  const apply = async (message: Message, controller: Controller<unknown>, plan: Plan) => {
    const client = options.client(message.cluster);
    const id = `${message.cluster}\n${message.consumer}\n${message.key}`;
    const component = controller.component ?? `${controller.name}-controller`;
    const recorded: Promise<void>[] = [];
    const record = (draft: EventDraft | undefined) => {
      if (draft) recorded.push(recorder.record(message.cluster, client, component, draft));
    };
    const result = await applyWrites(client, plan.writes, {
      record,
      wrote: (resource, object: KubeObject) => own.wrote(id, resource, object),
      removed: (resource, target, uid) => own.removed(id, resource, target, uid),
    });
    if (!result.lost) for (const draft of plan.events ?? []) record(draft);
    let refusals = result.refusals;
    if (refusals.length > 0 && plan.refused && !result.lost) {
      const after = await applyWrites(client, plan.refused(refusals), {
        record,
        wrote: (resource, object: KubeObject) => own.wrote(id, resource, object),
        removed: (resource, target, uid) => own.removed(id, resource, target, uid),
      });
      refusals = [...refusals, ...after.refusals];
    }
    await Promise.all(recorded);
    return { ...result, refusals };
  };

  return {
    async handle(message) {
      const controller = controllers.get(message.consumer);
      if (!controller) throw new Error(`no controller is named ${message.consumer}`);
      const since = clock.now();
      const read = options.reader(message.cluster);
      const id = `${message.cluster}\n${message.consumer}\n${message.key}`;
      if (!(await own.seen(id, read, ownWritesWaitMs, (ms) => clock.sleep(ms)))) {
        report(message, 'behind', 0, since);
        throw new ReaderBehindError(`the reader is behind the writes of ${message.consumer} ${message.key}`);
      }
      const observed: unknown = await controller.observe(read, parseKey(message.key));
      if (observed === undefined) return report(message, 'nothing', 0, since);
      const plan = controller.decide(observed, clock.now());
      const result = await apply(message, controller, plan);
      const outcome = result.lost ? 'lost' : result.refusals.length > 0 ? 'refused' : 'applied';
      report(message, plan.writes.length === 0 ? 'nothing' : outcome, result.written, since);
      const first = result.refusals[0];
      if (first) throw new StatusError(first.status);
      if (result.lost) throw new LostRaceError(`${message.consumer} ${message.key} lost a race`);
      if (plan.again) await options.queue.send([message], Math.max(0, plan.again.afterMs));
    },
  };
};
