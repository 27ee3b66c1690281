import { reachesNode } from '../gateway-pass.ts';

/** How a watch is answered where an answer is sent in one piece. */
export interface LongPollOptions {
  /** The answer goes out this long after the last event came, in milliseconds. */
  quietMs: number;
  /** And after this long in any case. */
  msMax: number;
  /** And once it has so many bytes: the platform sends no larger answers, and the client would ask for the same again. */
  bytesMax: number;
}

/** What a node answers is none, whatever its query says to the program there. */
export const isWatch = (url: URL): boolean => {
  if (reachesNode(url.pathname)) return false;
  const watch = url.searchParams.get('watch');
  return (watch !== null && watch !== 'false' && watch !== '0') || /\/watch\//.test(url.pathname);
};

/**
 * A streamed answer as one that ends soon after its first events: clients watch on from the last one, as they do when any
 * watch ends. A watch without events ends after `msMax`, empty.
 */
export const longPolled = async (
  response: Response,
  { quietMs, msMax, bytesMax }: LongPollOptions,
): Promise<Response> => {
  const reader = response.body?.getReader();
  if (!reader) return response;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const ends = performance.now() + msMax;
  while (bytes < bytesMax) {
    const left = Math.min(ends - performance.now(), chunks.length > 0 ? quietMs : Infinity);
    let timer: NodeJS.Timeout | undefined;
    const quiet = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, left)) as unknown as NodeJS.Timeout;
    });
    const read = await Promise.race([reader.read(), quiet]);
    clearTimeout(timer);
    if (!read || read.done) break;
    if (read.value.byteLength === 0) continue;
    chunks.push(read.value);
    bytes += read.value.byteLength;
  }
  await reader.cancel();
  const headers = new Headers(response.headers);
  headers.delete('transfer-encoding');
  return new Response(Buffer.concat(chunks), { status: response.status, headers });
};
