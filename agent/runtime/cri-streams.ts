import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { createSpdySession, type SpdySession, type SpdyStream } from '../streams/spdy.ts';
import { type ExitStatus, RuntimeError, type StreamRequest, type Streams } from './runtime.ts';

type Call = <T>(method: string, type: string, value: object, response: string) => Promise<T>;

const EXEC_PROTOCOL = 'v4.channel.k8s.io';
const PORT_FORWARD_PROTOCOL = 'portforward.k8s.io';

/** Upgrades to SPDY/3.1 on the streaming server of the runtime, which listens in this process' network namespace. */
const open = (url: string, protocol: string, signal: AbortSignal): Promise<{ session: SpdySession; socket: Duplex }> =>
  new Promise((resolve, reject) => {
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol };
    const sent = request(url, { method: 'POST', headers, agent: false });
    const abort = () => sent.destroy();
    signal.addEventListener('abort', abort, { once: true });
    sent.on('upgrade', (_response, socket: Duplex, head: Buffer) => {
      signal.removeEventListener('abort', abort);
      const session = createSpdySession(socket, { side: 'client', head });
      const end = () => socket.destroy();
      signal.addEventListener('abort', end, { once: true });
      session.closed.then(() => signal.removeEventListener('abort', end));
      resolve({ session, socket });
    });
    sent.on('response', (response) => {
      response.resume();
      reject(new RuntimeError('StreamError', `the runtime answered ${response.statusCode} to a stream`));
    });
    sent.on('error', reject);
    sent.end();
  });

const textOf = async (stream: SpdyStream): Promise<string> => {
  let text = '';
  try {
    for await (const chunk of stream) text += chunk;
  } catch {
    // the connection ended
  }
  return text;
};

/** The error channel of protocol v4: a Status, whose cause names the exit code. */
const exitOf = (text: string): ExitStatus => {
  if (text === '') return { exitCode: 0 };
  const status = JSON.parse(text) as {
    status?: string;
    message?: string;
    details?: { causes?: { reason?: string; message?: string }[] };
  };
  if (status.status === 'Success') return { exitCode: 0 };
  const code = status.details?.causes?.find((c) => c.reason === 'ExitCode')?.message;
  if (code === undefined) throw new RuntimeError('StreamError', status.message ?? text);
  return { exitCode: Number(code) };
};

const urlOf = async (call: Call, id: string, want: StreamRequest, io: Streams): Promise<string> => {
  const flags = {
    stdin: Boolean(io.stdin),
    stdout: Boolean(io.stdout),
    stderr: Boolean(io.stderr) && !want.tty,
    tty: want.tty,
  };
  const { url } =
    'exec' in want
      ? await call<{ url: string }>('Exec', 'ExecRequest', { container_id: id, cmd: want.exec, ...flags }, 'StreamUrl')
      : await call<{ url: string }>('Attach', 'AttachRequest', { container_id: id, ...flags }, 'StreamUrl');
  return url;
};

const sendSizes = async (sizes: NonNullable<Streams['resize']>, stream: SpdyStream): Promise<void> => {
  try {
    for await (const size of sizes) stream.write(JSON.stringify({ Width: size.width, Height: size.height }));
  } catch {
    // the client went away
  }
};

/** exec and attach by the runtime's streaming server. */
export const criStream = async (
  call: Call,
  id: string,
  want: StreamRequest,
  io: Streams,
  signal: AbortSignal,
): Promise<ExitStatus> => {
  const { session, socket } = await open(await urlOf(call, id, want, io), EXEC_PROTOCOL, signal);
  const error = await session.open({ streamtype: 'error' });
  const status = textOf(error);
  const outputs: Promise<void>[] = [];
  const drain = async (name: 'stdout' | 'stderr', to: NodeJS.WritableStream) => {
    const stream = await session.open({ streamtype: name });
    outputs.push(
      (async () => {
        try {
          for await (const chunk of stream)
            if (!to.write(chunk)) await new Promise((resolve) => to.once('drain', resolve));
        } catch {
          // the connection ended
        }
      })(),
    );
  };
  if (io.stdin) {
    const stream = await session.open({ streamtype: 'stdin' });
    stream.on('error', () => {});
    stream.resume();
    io.stdin.pipe(stream);
  }
  if (io.stdout) await drain('stdout', io.stdout);
  if (io.stderr && !want.tty) await drain('stderr', io.stderr);
  if (want.tty && io.resize) {
    const stream = await session.open({ streamtype: 'resize' });
    stream.on('error', () => {});
    void sendSizes(io.resize, stream);
  }
  try {
    const text = await Promise.race([status, session.closed.then(() => status)]);
    await Promise.all(outputs);
    return exitOf(text);
  } finally {
    session.close();
    socket.destroy();
  }
};

/** One TCP connection into the pod's network namespace. */
export const criPortForward = async (
  call: Call,
  sandboxId: string,
  port: number,
  signal: AbortSignal,
): Promise<NodeJS.ReadWriteStream> => {
  const { url } = await call<{ url: string }>(
    'PortForward',
    'PortForwardRequest',
    { pod_sandbox_id: sandboxId, port: [port] },
    'StreamUrl',
  );
  const { session } = await open(url, PORT_FORWARD_PROTOCOL, signal);
  const headers = { port: String(port), requestid: '0' };
  const error = await session.open({ ...headers, streamtype: 'error' });
  const data = await session.open({ ...headers, streamtype: 'data' });
  void textOf(error).then((text) => {
    if (text !== '') data.destroy(new RuntimeError('PortForwardError', text));
  });
  data.on('close', () => session.close());
  return data;
};
