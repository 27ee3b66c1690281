import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { bodyBytesMax } from '../apiserver/request-body.ts';
import { badRequest, timeout, tooLarge } from '../machinery/status.ts';

/** What a listener knows of a request when its headers have come. */
export interface Incoming {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  rawHeaders?: readonly string[];
  /** Where the body comes from; undefined when there is none. Also says when the client has gone away. */
  body: Readable | undefined;
  /** How long the body may take, in milliseconds; 60,000 when absent: upstream's request timeout. */
  bodyMs?: number;
  /** Calls back once when the exchange is over, whoever ended it. */
  onClose(callback: () => void): void;
  /** The body is not collected: whoever passes the request on reads it (apiserver/streams.ts). */
  uncollected?: boolean;
}

const BODY_MS = 60_000;
const empty = new Uint8Array();

/** The whole body; rejects with a 413 Status beyond the limit and then takes no more of it. */
const collect = (body: Readable, bodyMs: number): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let more: Buffer[] | undefined;
    let length = 0;
    let settled = false;
    const late = setTimeout(() => {
      if (settled) return;
      settled = true;
      body.pause();
      first = more = undefined;
      reject(timeout(`the request's body did not come in ${bodyMs} ms`));
    }, bodyMs);
    body.on('data', (chunk: Buffer) => {
      if (settled) return;
      length += chunk.length;
      if (length > bodyBytesMax) {
        settled = true;
        clearTimeout(late);
        body.pause();
        first = more = undefined;
        reject(tooLarge(`Request entity too large: limit is ${bodyBytesMax}`));
      } else if (!first) first = chunk;
      else if (more) more.push(chunk);
      else more = [first, chunk];
    });
    body.on('end', () => {
      clearTimeout(late);
      if (settled) return;
      settled = true;
      resolve(more ? Buffer.concat(more, length) : (first ?? empty));
    });
    body.on('close', () => {
      clearTimeout(late);
      if (!settled) reject(badRequest('the request was cut off'));
      settled = true;
    });
  });

/** Headers as the parser gave them; the platform's Headers when someone does more than look one up. */
class PlainHeaders {
  #given: IncomingHttpHeaders;
  #whole: Headers | undefined;

  constructor(given: IncomingHttpHeaders) {
    this.#given = given;
  }
  get whole(): Headers {
    if (!this.#whole) {
      this.#whole = new Headers();
      for (const name in this.#given) if (!name.startsWith(':')) this.#whole.set(name, this.get(name) ?? '');
    }
    return this.#whole;
  }
  get(name: string): string | null {
    // HTTP/2 says the host in a field of its own.
    const value =
      this.#given[name] ?? this.#given[name.toLowerCase()] ?? (name === 'host' ? this.#given[':authority'] : undefined);
    return value === undefined ? null : typeof value === 'string' ? value : value.join(', ');
  }
  has(name: string): boolean {
    return this.get(name) !== null;
  }
}
Object.setPrototypeOf(PlainHeaders.prototype, Headers.prototype);
for (const name of ['append', 'delete', 'set', 'forEach', 'keys', 'values', 'entries', 'getSetCookie'] as const)
  Object.defineProperty(PlainHeaders.prototype, name, {
    value(this: PlainHeaders, ...args: unknown[]) {
      return (this.whole[name] as (...given: unknown[]) => unknown)(...args);
    },
  });
Object.defineProperty(PlainHeaders.prototype, Symbol.iterator, {
  value(this: PlainHeaders) {
    return this.whole[Symbol.iterator]();
  },
});

/** What the apiserver looks at, made only when it does; anything else goes to a Request of the platform. */
class PlainRequest {
  readonly method: string;
  #incoming: Incoming;
  #headers: PlainHeaders | undefined;
  #abort: AbortController | undefined;
  #bytes: Promise<Uint8Array> | undefined;
  #whole: Request | undefined;
  #url: string | undefined;

  constructor(incoming: Incoming) {
    this.method = incoming.method;
    this.#incoming = incoming;
    // At once: a stream that ends before anyone listened would never tell.
    if (incoming.body && !incoming.uncollected) {
      this.#bytes = collect(incoming.body, incoming.bodyMs ?? BODY_MS);
      this.#bytes.catch(() => undefined);
    }
  }
  get url(): string {
    this.#url ??= `https://server${this.#incoming.path}`;
    return this.#url;
  }
  get headers(): Headers {
    this.#headers ??= new PlainHeaders(this.#incoming.headers);
    return this.#headers as unknown as Headers;
  }
  /** What apiserver/authn/impersonation-headers.ts looks for. */
  get rawHeaders(): readonly string[] | undefined {
    return this.#incoming.rawHeaders;
  }
  get signal(): AbortSignal {
    if (!this.#abort) {
      const abort = new AbortController();
      this.#abort = abort;
      this.#incoming.onClose(() => abort.abort());
    }
    return this.#abort.signal;
  }
  get body(): ReadableStream<Uint8Array> | null {
    return this.hasBody ? this.whole.body : null;
  }
  get hasBody(): boolean {
    return this.#incoming.body !== undefined;
  }
  bytes(): Promise<Uint8Array> {
    const { body, bodyMs = BODY_MS } = this.#incoming;
    this.#bytes ??= body && collect(body, bodyMs);
    return this.#bytes ?? Promise.resolve(empty);
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    const { buffer, byteOffset, byteLength } = await this.bytes();
    return (buffer as ArrayBuffer).slice(byteOffset, byteOffset + byteLength);
  }
  async text(): Promise<string> {
    return Buffer.from(await this.bytes()).toString();
  }
  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }
  get whole(): Request {
    if (!this.#whole) {
      const bytes = this.hasBody ? this.bytes() : undefined;
      const body =
        bytes &&
        new ReadableStream<Uint8Array>({
          start: async (controller) => {
            controller.enqueue(await bytes);
            controller.close();
          },
        });
      const { method, url, headers, signal } = this;
      const plain = new Headers((headers as unknown as PlainHeaders).whole);
      const init = { method, headers: plain, signal, ...(body && { body, duplex: 'half' }) };
      this.#whole = new Request(url, init as RequestInit);
    }
    return this.#whole;
  }
}
Object.setPrototypeOf(PlainRequest.prototype, Request.prototype);
const properties = ['bodyUsed', 'cache', 'credentials', 'destination', 'integrity', 'keepalive', 'mode'] as const;
for (const name of [...properties, 'redirect', 'referrer', 'referrerPolicy', 'duplex'] as const)
  Object.defineProperty(PlainRequest.prototype, name, {
    get(this: PlainRequest) {
      return this.whole[name as 'mode'];
    },
  });
for (const name of ['blob', 'formData', 'clone'] as const)
  Object.defineProperty(PlainRequest.prototype, name, {
    value(this: PlainRequest) {
      return this.whole[name]();
    },
  });

/** A Request of which only what is looked at is made. `bytes()` gives the body's own buffer. */
export const plainRequest = (incoming: Incoming): Request => new PlainRequest(incoming) as unknown as Request;
