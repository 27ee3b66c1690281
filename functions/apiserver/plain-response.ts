import { Readable } from 'node:stream';

/** Where a streamed body's bytes go. */
export interface Sink {
  /** Queues bytes; ignored once the stream has ended. */
  send(bytes: Uint8Array): void;
  /** Bytes that the client has not taken yet. */
  readonly unread: number;
  end(): void;
}

/** A body that is written while it comes about; `signal` aborts when nobody reads any more. */
export type StreamedBody = (sink: Sink, signal: AbortSignal) => void;

/** What a response consists of, for a listener that writes it without web streams. */
export interface PlainParts {
  status: number;
  /** Lower-case names; several values of a name as an array. */
  headers: Record<string, string | string[]>;
  /** A Readable is passed on at the client's pace, and destroyed when the client has gone. */
  body: Uint8Array | string | StreamedBody | Readable | undefined;
}

/** Bytes that a web stream may hold unread before the sink says so. */
const streamBytes = 1024 * 1024;

const webStream = (run: StreamedBody): ReadableStream<Uint8Array> => {
  const abort = new AbortController();
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        const sink: Sink = {
          send: (bytes) => {
            if (!abort.signal.aborted) controller.enqueue(bytes);
          },
          get unread() {
            return Math.max(0, streamBytes - (controller.desiredSize ?? streamBytes));
          },
          end: () => {
            if (abort.signal.aborted) return;
            abort.abort();
            controller.close();
          },
        };
        run(sink, abort.signal);
      },
      cancel: () => abort.abort(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: streamBytes }),
  );
};

const materialised = ({ status, headers, body }: PlainParts): Response => {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === 'string' ? [value] : value) all.append(name, one);
  }
  const init = { status, headers: all };
  if (status === 204 || status === 205 || status === 304) return new Response(null, init);
  const whole = typeof body === 'function' ? webStream(body) : body instanceof Readable ? Readable.toWeb(body) : body;
  return new Response(whole as BodyInit | undefined, init);
};

/** A Response that becomes one of the platform's when someone looks at more than its status. */
class PlainResponse {
  readonly status: number;
  #parts: PlainParts;
  #whole: Response | undefined;

  constructor(given: PlainParts) {
    this.status = given.status;
    this.#parts = given;
  }
  static partsOf(response: object): PlainParts | undefined {
    return #parts in response ? response.#parts : undefined;
  }
  get whole(): Response {
    this.#whole ??= materialised(this.#parts);
    return this.#whole;
  }
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }
  text(): Promise<string> {
    const { body } = this.#parts;
    if (this.#whole || typeof body === 'function' || body instanceof Readable || body === undefined)
      return this.whole.text();
    return Promise.resolve(typeof body === 'string' ? body : Buffer.from(body).toString());
  }
  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }
}
Object.setPrototypeOf(PlainResponse.prototype, Response.prototype);
for (const name of ['headers', 'body', 'bodyUsed', 'statusText', 'type', 'url', 'redirected'] as const)
  Object.defineProperty(PlainResponse.prototype, name, {
    get(this: PlainResponse) {
      return this.whole[name];
    },
  });
for (const name of ['arrayBuffer', 'blob', 'bytes', 'formData', 'clone'] as const)
  Object.defineProperty(PlainResponse.prototype, name, {
    value(this: PlainResponse) {
      return this.whole[name]();
    },
  });

/** A Response whose parts a listener can take as they are (`plainParts`); everyone else sees a Response. */
export const plainResponse = (given: PlainParts): Response => new PlainResponse(given) as unknown as Response;

/** The parts of a response made by `plainResponse`; undefined for any other. */
export const plainParts = (response: Response): PlainParts | undefined => PlainResponse.partsOf(response);
