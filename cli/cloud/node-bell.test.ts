import { expect, it } from 'vitest';
import { createRings } from '../../agent/doorbell.ts';
import type { Client } from '../../functions/client/client.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { bodiesIn, hasBell, listenToBell, ringingClient } from './node-bell.ts';

const clock = createSystemClock();
const xml = (...bodies: string[]): string =>
  `<ReceiveMessageResponse>${bodies.map((body) => `<Message><Body>${body}</Body></Message>`).join('')}</ReceiveMessageResponse>`;

it('reads what an answer of SQS says', () => {
  expect(bodiesIn(xml('pods', 'services pods'))).toEqual(['pods', 'services pods']);
  expect(bodiesIn(xml())).toEqual([]);
});

it('asks where to listen with the credential of the node, and listens there without any', async () => {
  const asked: [string, string | null][] = [];
  const stopping = new AbortController();
  const rung: string[] = [];
  const record = (request: Request): void => void asked.push([request.url, request.headers.get('authorization')]);
  const source = {
    server: 'https://api/clusters/a/',
    token: () => 'own',
    send: async (request: Request) => {
      record(request);
      return Response.json({ url: 'https://sqs/queue?signed', seconds: 3600 });
    },
    listen: async (request: Request) => {
      record(request);
      if (asked.length > 3) stopping.abort();
      return new Response(xml('pods', 'services'));
    },
  };
  await listenToBell(source, (resources) => rung.push(...resources), stopping.signal);
  expect(asked.slice(0, 3)).toEqual([
    ['https://api/clusters/a/skiff/v1/bell', 'Bearer own'],
    ['https://sqs/queue?signed', null],
    ['https://sqs/queue?signed', null],
  ]);
  expect(rung.slice(0, 4)).toEqual(['pods', 'services', 'pods', 'services']);
});

it('takes a refused URL for a loss: everything rings, and it asks anew', async () => {
  const stopping = new AbortController();
  const rung: string[] = [];
  const faults: unknown[] = [];
  const source = {
    server: 'https://api',
    token: () => 'own',
    send: async () => Response.json({ url: 'https://sqs/queue', seconds: 3600 }),
    listen: async () => new Response('', { status: 403 }),
    onError: (error: unknown) => {
      faults.push(error);
      stopping.abort();
    },
  };
  await listenToBell(source, (resources) => rung.push(...resources), stopping.signal);
  expect(rung).toEqual(['pods', 'services', 'endpointslices']);
  expect(faults).toHaveLength(1);
});

it('knows a server without bells', async () => {
  const send = async () => new Response('', { status: 404 });
  expect(await hasBell({ server: 'https://api', token: () => '', send })).toBe(false);
});

it('asks what is new once it rings, and not before', async () => {
  const rings = createRings(clock);
  const asked: unknown[] = [];
  const event = { type: 'ADDED', object: { metadata: { name: 's' } } };
  const client = {
    async *watch(_resource: unknown, options: unknown) {
      asked.push(options);
      yield event;
    },
  } as unknown as Client;
  const ringing = ringingClient(client, rings);
  let rung = false;
  setTimeout(() => {
    rung = true;
    rings.ring(['services']);
  }, 20);
  const events: unknown[] = [];
  const services = { group: '', version: 'v1', resource: 'services' };
  for await (const one of ringing.watch(services, { resourceVersion: '7' }, new AbortController().signal)) {
    expect(rung).toBe(true);
    events.push(one);
  }
  expect(events).toEqual([event]);
  expect(asked).toEqual([{ resourceVersion: '7', timeoutSeconds: 1 }]);
});
