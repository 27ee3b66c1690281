import type { Clock } from '../clock/clock.ts';
import type { Message, Queue } from './queue.ts';

/**
 * A queue that counts, per consumer, under upstream's workqueue metric names: messages sent, work under way, how long it
 * took and what failed and comes again. Costs a map look-up per message.
 */
export interface MeasuredQueue extends Queue {
  /** Prometheus text format. */
  metrics(): string;
}

const BOUNDS = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10];

interface Work {
  adds: number;
  retries: number;
  counts: number[];
  seconds: number;
  /** When each piece of work under way began, in milliseconds. */
  running: Set<{ since: number }>;
}

const NAMES = ['adds_total', 'retries_total', 'unfinished_work_seconds', 'longest_running_processor_seconds'] as const;
const HELP: Record<(typeof NAMES)[number], [string, string]> = {
  adds_total: ['counter', 'Messages sent.'],
  retries_total: ['counter', 'Messages whose handling failed and comes again.'],
  unfinished_work_seconds: ['gauge', 'Seconds of work under way, summed up.'],
  longest_running_processor_seconds: ['gauge', 'Seconds of the longest work under way.'],
};

export const measuredQueue = <Q extends Queue>(queue: Q, clock: Pick<Clock, 'now'>): Q & MeasuredQueue => {
  const all = new Map<string, Work>();
  const workOf = (name: string): Work => {
    const found = all.get(name);
    if (found) return found;
    const counts = new Array<number>(BOUNDS.length + 1).fill(0);
    const made: Work = { adds: 0, retries: 0, counts, seconds: 0, running: new Set() };
    all.set(name, made);
    return made;
  };
  const handled = (handle: (message: Message) => Promise<void>) => async (message: Message) => {
    const work = workOf(message.consumer);
    const entry = { since: clock.now() };
    work.running.add(entry);
    try {
      await handle(message);
    } catch (error) {
      work.retries++;
      throw error;
    } finally {
      work.running.delete(entry);
      const seconds = (clock.now() - entry.since) / 1000;
      work.seconds += seconds;
      const at = BOUNDS.findIndex((bound) => seconds <= bound);
      const bucket = at < 0 ? BOUNDS.length : at;
      work.counts[bucket] = (work.counts[bucket] ?? 0) + 1;
    }
  };
  const values = (work: Work): Record<(typeof NAMES)[number], number> => {
    const ages = [...work.running].map((entry) => (clock.now() - entry.since) / 1000);
    return {
      adds_total: work.adds,
      retries_total: work.retries,
      unfinished_work_seconds: ages.reduce((sum, age) => sum + age, 0),
      longest_running_processor_seconds: Math.max(0, ...ages),
    };
  };
  return {
    ...queue,
    send: (messages, delayMs) => {
      for (const { consumer } of messages) workOf(consumer).adds++;
      return queue.send(messages, delayMs);
    },
    run: (handle, signal) => queue.run(handled(handle), signal),
    metrics: () => {
      let out = '';
      for (const name of NAMES) {
        const [type, help] = HELP[name];
        out += `# HELP workqueue_${name} ${help}\n# TYPE workqueue_${name} ${type}\n`;
        for (const [consumer, work] of all) out += `workqueue_${name}{name="${consumer}"} ${values(work)[name]}\n`;
      }
      const name = 'workqueue_work_duration_seconds';
      out += `# HELP ${name} Seconds that handling took.\n# TYPE ${name} histogram\n`;
      for (const [consumer, { counts, seconds }] of all) {
        let sum = 0;
        for (const [i, count] of counts.entries()) {
          sum += count;
          out += `${name}_bucket{name="${consumer}",le="${BOUNDS[i] ?? '+Inf'}"} ${sum}\n`;
        }
        out += `${name}_sum{name="${consumer}"} ${seconds}\n${name}_count{name="${consumer}"} ${sum}\n`;
      }
      return out;
    },
  };
};
