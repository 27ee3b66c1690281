const newline = 10;

/**
 * The JSON values of a body of lines (`application/json;stream=watch`), as they arrive. Each line is decoded once, from
 * the chunk itself where it does not cross chunks. Ends when the body ends; an aborted signal ends it without an error.
 */
export async function* decodeLines<T>(body: ReadableStream<Uint8Array>, signal: AbortSignal): AsyncGenerator<T> {
  const reader = body.getReader();
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  const decoder = new TextDecoder();
  let rest: Uint8Array[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      let start = 0;
      for (let end = value.indexOf(newline); end >= 0; end = value.indexOf(newline, start)) {
        const piece = value.subarray(start, end);
        const line = rest.length > 0 ? Buffer.concat([...rest, piece]) : piece;
        rest = [];
        start = end + 1;
        if (line.length > 0) yield JSON.parse(decoder.decode(line)) as T;
      }
      if (start < value.length) rest.push(value.subarray(start));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}
