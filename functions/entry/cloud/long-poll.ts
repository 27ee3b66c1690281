/** How a watch is answered where an answer is sent in one piece. */
export interface LongPollOptions {
  /** The answer goes out this long after the last event came, in milliseconds. */
  quietMs: number;
  /** And after this long in any case. */
  msMax: number;
}

export const isWatch = (url: URL): boolean => {
  const watch = url.searchParams.get('watch');
  return (watch !== null && watch !== 'false' && watch !== '0') || /\/watch\//.test(url.pathname);
};

/**
 * A streamed answer as one that ends soon after its first events: clients watch on from the last one, as they do when any
 * watch ends. A watch without events ends after `msMax`, empty.
 */
export const longPolled = async (response: Response, { quietMs, msMax }: LongPollOptions): Promise<Response> => {
  const reader = response.body?.getReader();
  if (!reader) return response;
  const chunks: Uint8Array[] = [];
  const ends = performance.now() + msMax;
  for (;;) {
    const left = Math.min(ends - performance.now(), chunks.length > 0 ? quietMs : Infinity);
    let timer: NodeJS.Timeout | undefined;
    const quiet = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, Math.max(0, left)) as unknown as NodeJS.Timeout;
    });
    const read = await Promise.race([reader.read(), quiet]);
    clearTimeout(timer);
    if (!read || read.done) break;
    if (read.value.byteLength > 0) chunks.push(read.value);
  }
  await reader.cancel();
  const headers = new Headers(response.headers);
  headers.delete('transfer-encoding');
  return new Response(Buffer.concat(chunks), { status: response.status, headers });
};
