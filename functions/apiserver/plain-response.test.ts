import { expect, it } from 'vitest';
import { plainParts, plainResponse } from './plain-response.ts';

it('is a Response to whoever does not know its parts', async () => {
  const made = () => plainResponse({ status: 201, headers: { 'x-a': 'b', warning: ['1', '2'] }, body: '{"a":1}' });
  const response = made();
  expect(response).toBeInstanceOf(Response);
  expect([response.status, response.ok, response.headers.get('x-a')]).toEqual([201, true, 'b']);
  expect(response.headers.get('warning')).toBe('1, 2');
  expect(await response.json()).toEqual({ a: 1 });
  expect(await made().text()).toBe('{"a":1}');
  expect(Buffer.from(await made().arrayBuffer()).toString()).toBe('{"a":1}');
  expect(await made().clone().text()).toBe('{"a":1}');
  expect(plainParts(response)?.body).toBe('{"a":1}');
  expect(plainParts(new Response('other'))).toBeUndefined();
});

it('streams into a web stream, which ends with the app and aborts it when cancelled', async () => {
  const ended = plainResponse({
    status: 200,
    headers: {},
    body: (sink) => {
      sink.send(Buffer.from('one '));
      sink.send(Buffer.from('two'));
      sink.end();
    },
  });
  expect(await ended.text()).toBe('one two');
  let told: AbortSignal | undefined;
  const endless = plainResponse({
    status: 200,
    headers: {},
    body: (sink, signal) => {
      told = signal;
      sink.send(Buffer.alloc(10));
      expect(sink.unread).toBe(10);
    },
  });
  const reader = endless.body?.getReader();
  expect(told?.aborted).toBe(false);
  await reader?.cancel();
  expect(told?.aborted).toBe(true);
});
