// Lambda: a function URL -> the API. Answers are streamed where the URL streams, else sent in one piece.
import { createLambdaHandlers } from '../lambda.ts';
import { log, openPlane, settings } from './compose.ts';
import { isWatch, longPolled } from './long-poll.ts';
import { DEFAULT_CLUSTER } from './plane.ts';

/** Watches end before Lambda does, at fifteen minutes. */
const STREAM_MS_MAX = 14 * 60_000;
const POLL = { quietMs: 30, msMax: 10_000 };

const plane = openPlane(settings.SKIFF_STREAMING ? STREAM_MS_MAX : POLL.msMax);
let seeded: Promise<void> | undefined;

const fetch = async (request: Request): Promise<Response> => {
  const { api, seed } = await plane();
  seeded ??= seed(DEFAULT_CLUSTER);
  await seeded;
  const url = new URL(request.url);
  const response = await api.fetch(request);
  log(`${request.method} ${url.pathname} ${response.status}`);
  return !settings.SKIFF_STREAMING && isWatch(url) ? longPolled(response, POLL) : response;
};

const handlers = createLambdaHandlers({ fetch });
export const handler = settings.SKIFF_STREAMING ? handlers.streaming() : handlers.buffered;
