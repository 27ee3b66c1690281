// The controllers that ran beside the API server when its cases were recorded: those that keep a status admission reads.
import type { Client } from '../../functions/client/client.ts';
import type { Clock } from '../../functions/clock/clock.ts';
import { disruptionController } from '../../functions/controllers/disruption/disruption.ts';
import type { AnyController } from '../../functions/controllers/index.ts';
import { resourceQuotaController } from '../../functions/controllers/resourcequota/resourcequota.ts';
import { createRunner } from '../../functions/controllers/run.ts';
import { createDispatcher } from '../../functions/dispatcher/dispatch.ts';
import { createMemoryQueue } from '../../functions/queue/memory.ts';
import { decode } from '../../functions/store/decoded.ts';
import type { Replicas } from '../../functions/store/replica-port.ts';
import { createReplicaReader } from '../../functions/store/replica-reader.ts';
import type { CommitFeed } from '../../functions/store/store.ts';

const controllers: AnyController[] = [resourceQuotaController, disruptionController];

/** Runs them on every commit until aborted. */
export const startControllers = (options: {
  clock: Clock;
  feed: CommitFeed;
  replicas: Replicas;
  client: Client;
  signal: AbortSignal;
}): void => {
  const { clock, feed, replicas, signal } = options;
  const reader = createReplicaReader(replicas, 'default');
  const queue = createMemoryQueue({ clock });
  const runner = createRunner({ controllers, reader: () => reader, client: () => options.client, clock, queue });
  const dispatcher = createDispatcher({ consumers: controllers, queue, decode, reader: () => reader });
  const unsubscribe = feed.subscribe((domain, changes) => {
    if (domain.group !== 'skiff.dev') void dispatcher.changed(domain, changes);
  });
  signal.addEventListener('abort', unsubscribe);
  void queue.run((message) => runner.handle(message), signal);
};
