import { setTimeout as delay } from 'node:timers/promises';
import { RINGS_PATH, type Rings } from '../../agent/doorbell.ts';
import type { Client } from '../../functions/client/client.ts';

type Send = (request: Request) => Promise<Response>;

export interface BellSource {
  server: string;
  token(): string;
  send: Send;
  /** fetch of the platform where absent: the queue is not where the server is. */
  listen?: Send;
  onError?(error: unknown): void;
}

/** What rings after every loss: everything may have changed meanwhile. */
const EVERYTHING = ['pods', 'services', 'endpointslices'];
const PAUSE_MS = 5_000;
const LOOK_MS = 10 * 60_000;
const RENEW_EARLY_S = 300;

interface Place {
  url: string;
  /** In milliseconds of performance.now(). */
  until: number;
}

const askPlace = async ({ server, token, send }: BellSource): Promise<Place | undefined> => {
  const url = `${server.replace(/\/$/, '')}/skiff/v1/bell`;
  const answer = await send(new Request(url, { method: 'POST', headers: { authorization: `Bearer ${token()}` } }));
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`the bell of the node: HTTP ${answer.status}`);
  const { url: place, seconds } = (await answer.json()) as { url: string; seconds: number };
  return { url: place, until: performance.now() + (seconds - RENEW_EARLY_S) * 1000 };
};

/** Whether the server rings nodes. */
export const hasBell = async (source: BellSource): Promise<boolean> => (await askPlace(source)) !== undefined;

/** The bodies of the messages in an answer of SQS's query protocol. */
export const bodiesIn = (xml: string): string[] => [...xml.matchAll(/<Body>([^<]*)<\/Body>/g)].map((m) => m[1] ?? '');

/** Listens at the node's bell until aborted, with a new place each hour; `ring` is told what may have changed. */
export const listenToBell = async (
  source: BellSource,
  ring: (resources: readonly string[]) => void,
  signal: AbortSignal,
): Promise<void> => {
  const { listen = (request: Request) => fetch(request) } = source;
  let place: Place | undefined;
  while (!signal.aborted) {
    try {
      if (!place || performance.now() > place.until) place = await askPlace(source);
      if (!place) throw new Error('the server rings no more');
      const answer = await listen(new Request(place.url, { signal, headers: { accept: 'application/xml' } }));
      const text = await answer.text();
      if (!answer.ok) throw new Error(`the bell of the node: HTTP ${answer.status}`);
      const rung = bodiesIn(text).flatMap((body) => body.split(' '));
      if (rung.length > 0) ring(rung);
    } catch (error) {
      if (signal.aborted) return;
      source.onError?.(error);
      place = undefined;
      ring(EVERYTHING);
      await delay(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }
};

/** A short watch tells what is new after a revision at once. */
const WATCH_SECONDS = 1;

/** A client whose watches wait for the bell before they ask: a watcher that goes on from its revision misses nothing. */
export const ringingClient = (client: Client, rings: Rings): Client => ({
  ...client,
  async *watch(resource, options, signal) {
    await rings.wait(resource.resource, LOOK_MS, signal);
    if (!signal.aborted) yield* client.watch(resource, { ...options, timeoutSeconds: WATCH_SECONDS }, signal);
  },
});

/** An app that also tells the node's own agent what rang. */
export const withRings = (
  app: { fetch(request: Request): Promise<Response> },
  box: { take(): Promise<string> },
): { fetch(request: Request): Promise<Response> } => ({
  fetch: async (request) =>
    new URL(request.url).pathname === RINGS_PATH ? new Response(await box.take()) : app.fetch(request),
});
