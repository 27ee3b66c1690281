import { expect, it } from 'vitest';
import { isWatch, longPolled } from './long-poll.ts';

const encoder = new TextEncoder();

it('ends soon after the first events, with all of them', async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(encoder.encode('one\n'));
      setTimeout(() => controller.enqueue(encoder.encode('two\n')), 20);
    },
    cancel: () => {
      cancelled = true;
    },
  });
  const answer = await longPolled(new Response(body, { headers: { 'content-type': 'application/json' } }), {
    quietMs: 150,
    msMax: 10_000,
    bytesMax: 1 << 20,
  });
  expect(await answer.text()).toBe('one\ntwo\n');
  expect(answer.headers.get('content-type')).toBe('application/json');
  expect(cancelled).toBe(true);
});

it('ends empty when nothing comes in time', async () => {
  const answer = await longPolled(new Response(new ReadableStream()), { quietMs: 10, msMax: 30, bytesMax: 1 << 20 });
  expect(await answer.text()).toBe('');
});

it('knows a watch by its parameter and by its path', () => {
  const of = (path: string) => isWatch(new URL(path, 'https://x'));
  expect(['/api/v1/pods?watch=1', '/api/v1/pods?watch=true', '/api/v1/watch/pods'].map(of)).toEqual([true, true, true]);
  expect(['/api/v1/pods', '/api/v1/pods?watch=false', '/api/v1/pods?watch=0'].map(of)).toEqual([false, false, false]);
});

it('ends after whole events once it is as large as an answer may be', async () => {
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(encoder.encode('event\n')),
  });
  const answer = await longPolled(new Response(body), { quietMs: 1_000, msMax: 5_000, bytesMax: 100 });
  expect(await answer.text()).toBe('event\n'.repeat(17));
});

it('takes no answer of a node for a watch', () => {
  const of = (path: string) => isWatch(new URL(path, 'https://x'));
  const pod = '/clusters/a/api/v1/namespaces/n/pods/p';
  expect([`${pod}/proxy/x?watch=1`, `${pod}/log?watch=true`, `${pod}?watch=1`].map(of)).toEqual([false, false, true]);
});
