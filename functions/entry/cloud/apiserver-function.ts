// Lambda: a function URL -> the API. Answers are streamed where the URL streams, else sent in one piece.
import { createHttp2Fetch } from '../../client/http2-fetch.ts';
import { withGateway } from '../gateway-pass.ts';
import { createLambdaHandlers } from '../lambda.ts';
import { loadAuthority } from './authority.ts';
import { log, openBells, openPlane, settings } from './compose.ts';
import { kept } from './kept.ts';
import { isWatch, longPolled } from './long-poll.ts';
import { type CloudPlane, DEFAULT_CLUSTER } from './plane.ts';
import { joinable } from './trust.ts';

/** Watches end before Lambda does, at fifteen minutes. */
const STREAM_MS_MAX = 14 * 60_000;
/** Lambda sends 6 MB at most, in one piece. */
const POLL = { quietMs: 30, msMax: 10_000, bytesMax: 3 << 20 };

const plane = openPlane(settings.SKIFF_STREAMING ? STREAM_MS_MAX : POLL.msMax);

/** The API; what only a node can answer goes to the gateway where there is one. */
const compose = async (opened: CloudPlane): Promise<{ fetch(request: Request): Promise<Response> }> => {
  const app = joinable(opened, settings.SKIFF_GATEWAY, openBells());
  if (!settings.SKIFF_GATEWAY) return app;
  const { caCert: ca } = await loadAuthority(opened.store);
  return withGateway(app, { server: settings.SKIFF_GATEWAY, ca }, createHttp2Fetch({ ca }));
};

/** A function outlives a store that answers late once: what failed is made again for the next request. */
const app = kept(async () => {
  const opened = await plane();
  await opened.seed(DEFAULT_CLUSTER);
  return compose(opened);
});

const fetch = async (request: Request): Promise<Response> => {
  const url = new URL(request.url);
  const response = await (await app()).fetch(request);
  log(`${request.method} ${url.pathname} ${response.status}`);
  return !settings.SKIFF_STREAMING && isWatch(url) ? longPolled(response, POLL) : response;
};

const handlers = createLambdaHandlers({ fetch });
export const handler = settings.SKIFF_STREAMING ? handlers.streaming() : handlers.buffered;
