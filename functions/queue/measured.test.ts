import { expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { measuredQueue } from './measured.ts';
import { createMemoryQueue } from './memory.ts';

it('counts what is sent, handled and failed, per consumer', async () => {
  let now = 1000;
  const queue = measuredQueue(createMemoryQueue({ clock: createSystemClock() }), { now: () => now });
  const stop = new AbortController();
  const message = { cluster: 'c', consumer: 'job', key: 'k' };
  await queue.send([message, { ...message, consumer: 'node' }]);
  let failed = false;
  let shown = '';
  await queue.run(async ({ consumer }) => {
    if (consumer === 'job' && !failed) {
      failed = true;
      throw new Error('once');
    }
    now += 500;
    shown = queue.metrics();
    if (consumer === 'job') stop.abort();
  }, stop.signal);
  expect(shown).toContain('workqueue_longest_running_processor_seconds{name="job"} 0.5');
  const text = queue.metrics();
  expect(text).toContain('workqueue_adds_total{name="job"} 1\n');
  expect(text).toContain('workqueue_retries_total{name="job"} 1\n');
  expect(text).toContain('workqueue_work_duration_seconds_bucket{name="node",le="1"} 1\n');
  expect(text).toContain('workqueue_work_duration_seconds_count{name="job"} 2\n');
});
