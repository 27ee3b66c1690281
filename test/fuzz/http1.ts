import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import type { Place } from './place.ts';
import type { FuzzRequest } from './requests.ts';
import type { Answer, Transport } from './transports.ts';

const empty: Answer = { status: 0, headers: {}, body: Buffer.alloc(0), closed: true };

/** Header and path as one line may hold them; what it cannot hold is left out. */
const oneLine = (text: string): string => text.replace(/[\r\n]/g, ' ').toWellFormed();

const headOf = ({ method, path, headers, body }: FuzzRequest): Buffer => {
  const target = oneLine(path).replace(/[ \t]/g, '%20');
  const lines = [`${method} ${target} HTTP/1.1`, 'host: fuzz'];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${oneLine(value)}`);
  if (body && headers['content-length'] === undefined) lines.push(`content-length: ${body.length}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
};

/** Bytes of a connection, taken as they are asked for. */
const createIntake = (socket: TLSSocket) => {
  let have: Buffer = Buffer.alloc(0);
  /** What has come since `have` was put together: megabytes come in many pieces. */
  let fresh: Buffer[] = [];
  let freshBytes = 0;
  const gather = (): void => {
    if (freshBytes === 0) return;
    have = Buffer.concat([have, ...fresh]);
    fresh = [];
    freshBytes = 0;
  };
  let ended = false;
  let wake = (): void => undefined;
  socket.on('data', (chunk: Buffer) => {
    fresh.push(chunk);
    freshBytes += chunk.length;
    wake();
  });
  const end = (): void => {
    ended = true;
    wake();
  };
  socket.on('end', end).on('close', end).on('error', end);
  const more = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const take = (length: number): Buffer => {
    gather();
    const part = have.subarray(0, length);
    have = have.subarray(length);
    return part;
  };
  return {
    /** Up to and with the mark; undefined when the connection ends before. */
    until: async (mark: string): Promise<string | undefined> => {
      for (;;) {
        gather();
        const at = have.indexOf(mark);
        if (at >= 0) return take(at + mark.length).toString('latin1');
        if (ended) return undefined;
        await more();
      }
    },
    bytes: async (length: number): Promise<Buffer | undefined> => {
      const enough = (): boolean => have.length + freshBytes >= length;
      while (!enough() && !ended) await more();
      return enough() ? take(length) : undefined;
    },
    rest: async (): Promise<Buffer> => {
      while (!ended) await more();
      return take(have.length + freshBytes);
    },
    /** Whatever is there after so long. */
    after: async (ms: number): Promise<Buffer> => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return take(have.length + freshBytes);
    },
  };
};
type Intake = ReturnType<typeof createIntake>;

const headersOf = (head: string): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const line of head.split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
};

const chunked = async (intake: Intake): Promise<Buffer | undefined> => {
  const parts: Buffer[] = [];
  for (;;) {
    const size = Number.parseInt((await intake.until('\r\n')) ?? '', 16);
    if (Number.isNaN(size)) return undefined;
    const part = await intake.bytes(size + 2);
    if (!part) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(part.subarray(0, size));
  }
};

/** The next answer on a connection; `closed` when there is none, or not all of it. */
export const readAnswer = async (intake: Intake, method: string, watchMs?: number): Promise<Answer> => {
  const head = await intake.until('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head ?? '')?.[1] ?? 0);
  if (head === undefined || status === 0) return empty;
  if (status === 100) return readAnswer(intake, method, watchMs);
  const headers = headersOf(head);
  if (status === 101 || (watchMs !== undefined && status === 200)) {
    await intake.after(watchMs ?? 5);
    return { status, headers, body: Buffer.alloc(0), closed: true };
  }
  if (method === 'HEAD' || status === 204 || status === 304) return { status, headers, body: Buffer.alloc(0) };
  const length = headers['content-length'];
  const isChunked = headers['transfer-encoding'] === 'chunked';
  const body = isChunked
    ? await chunked(intake)
    : length !== undefined
      ? await intake.bytes(Number(length))
      : await intake.rest();
  return body ? { status, headers, body } : empty;
};

export const openSocket = async ({ port, ca }: Place): Promise<{ socket: TLSSocket; intake: Intake }> => {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] });
  socket.on('error', () => undefined);
  const intake = createIntake(socket);
  await once(socket, 'secureConnect');
  return { socket, intake };
};

/** A client that writes its requests itself, so that nothing bends them on the way. */
export const createRawClient = (place: Place): Transport => {
  let open: Awaited<ReturnType<typeof openSocket>> | undefined;
  return {
    send: async (request) => {
      if (!open || open.socket.destroyed || !open.socket.writable) open = await openSocket(place);
      const { socket, intake } = open;
      socket.write(headOf(request));
      if (request.body) socket.write(request.body);
      const answer = await readAnswer(intake, request.method, request.watchMs);
      if (answer.closed || answer.headers.connection === 'close') {
        socket.destroy();
        open = undefined;
      }
      return answer;
    },
    close: () => open?.socket.destroy(),
  };
};
