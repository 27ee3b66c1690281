import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { type Cli, failureOf } from './nerdctl-cli.ts';
import { type ExitStatus, RuntimeError, type Streams } from './runtime.ts';

/** What nerdctl itself says on stderr: `time="..." level=... msg="..."`, the last line of a failed exec. */
const OWN_LINE = 'time="';
const EXIT = /exec failed with exit code (\d+)/;
/** Shells give these for a command that is not there, or cannot be run. */
const NOT_FOUND = 127;

/** Passes everything on but the lines of nerdctl itself, which are kept. */
export const withoutOwnLines = (write: (chunk: Buffer) => void) => {
  let rest = Buffer.alloc(0);
  let own = '';
  let lineStart = true;
  const take = (piece: Buffer, whole: boolean): boolean => {
    const held =
      lineStart &&
      (piece.subarray(0, OWN_LINE.length).toString('latin1') === OWN_LINE ||
        (!whole && OWN_LINE.startsWith(piece.toString('latin1'))));
    if (held && !whole) return false;
    if (held && /^time="[^"]*" level=\w+ msg=/.test(piece.toString('utf8'))) own += piece.toString('utf8');
    else write(piece);
    lineStart = whole;
    return true;
  };
  return {
    push: (chunk: Buffer): void => {
      let data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      rest = Buffer.alloc(0);
      for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10)) {
        take(data.subarray(0, at + 1), true);
        data = data.subarray(at + 1);
      }
      if (data.length > 0 && !take(data, false)) rest = Buffer.from(data);
    },
    end: (): string => {
      if (rest.length > 0) take(rest, true);
      return own;
    },
  };
};

/** The exit code of a command in a container, from how `nerdctl exec` ended and what it said: it ends with 1 itself. */
export const exitCodeOf = (code: number, own: string): number => {
  const found = EXIT.exec(own)?.[1];
  if (found !== undefined) return Number(found);
  if (code === 0) return 0;
  const failure = failureOf(own);
  if (/executable file not found|no such file or directory/i.test(failure)) return NOT_FOUND;
  throw new RuntimeError('StreamError', failure === '' ? `nerdctl ended with ${code}` : failure);
};

const ended = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });

const written = (to: Writable | undefined) => (chunk: Buffer) => {
  if (to && !to.destroyed) to.write(chunk);
};

const feed = (stdin: Readable | undefined, child: ChildProcess): void => {
  child.stdin?.on('error', () => {});
  if (child.stdin) stdin?.pipe(child.stdin);
};

const killed = (child: ChildProcess, signal: AbortSignal): (() => void) => {
  const kill = () => child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  return () => signal.removeEventListener('abort', kill);
};

/** A command in a container, with pipes. */
export const execPiped = async (
  cli: Cli,
  id: string,
  command: readonly string[],
  io: Streams,
  signal: AbortSignal,
): Promise<ExitStatus> => {
  const child = cli.spawn(['exec', ...(io.stdin ? ['-i'] : []), id, ...command]);
  const errors = withoutOwnLines(written(io.stderr));
  child.stdout?.on('data', written(io.stdout));
  child.stderr?.on('data', errors.push);
  const release = killed(child, signal);
  if (io.stdin) feed(io.stdin, child);
  else child.stdin?.end();
  const code = await ended(child).finally(release);
  const own = errors.end();
  signal.throwIfAborted();
  return { exitCode: exitCodeOf(code, own) };
};

const quoted = (words: readonly string[]): string => words.map((w) => `'${w.replaceAll("'", `'\\''`)}'`).join(' ');

const resizes = async (sizes: NonNullable<Streams['resize']>, terminal: string): Promise<void> => {
  for await (const { width, height } of sizes) {
    // The program told us which terminal is its own as the first thing it did.
    const path = (await readFile(terminal, 'utf8').catch(() => '')).trim();
    if (path === '') continue;
    await new Promise<void>((resolve) => {
      execFile('stty', ['-F', path, 'rows', String(height), 'cols', String(width)], () => resolve());
    });
  }
};

/**
 * A command in a container with a terminal. nerdctl wants one itself: `script` (util-linux, part of every Debian) lends it
 * a pseudo-terminal, whose size follows the client's.
 */
export const execOnTerminal = async (
  cli: Cli,
  id: string,
  command: readonly string[],
  io: Streams,
  signal: AbortSignal,
): Promise<ExitStatus> => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-exec-'));
  const terminal = join(folder, 'tty');
  const line = quoted(cli.line(['exec', '-i', '-t', id, ...command]));
  const own = join(folder, 'errors');
  const shell = `tty > ${quoted([terminal])}; ${line} 2> ${quoted([own])}`;
  const child = spawn('script', ['--quiet', '--return', '--command', shell, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdout.on('data', written(io.stdout));
  const release = killed(child, signal);
  feed(io.stdin, child);
  if (io.resize) resizes(io.resize, terminal).catch(() => {});
  try {
    const code = await ended(child);
    signal.throwIfAborted();
    return { exitCode: exitCodeOf(code, await readFile(own, 'utf8').catch(() => '')) };
  } finally {
    release();
    await rm(folder, { recursive: true, force: true });
  }
};

/** Connects to a port of this network namespace and joins it to its own standard input and output. */
const JOIN = `
const net = require('node:net');
const port = Number(process.argv[1]);
const join = (host, refused) => {
  const socket = net.connect({ host, port, allowHalfOpen: true });
  socket.once('connect', () => {
    process.stdin.pipe(socket);
    socket.pipe(process.stdout);
    socket.on('end', () => process.stdout.end());
    socket.on('close', () => process.exit(0));
  });
  socket.on('error', refused);
};
join('127.0.0.1', () => join('::1', (error) => {
  process.stderr.write(error.message);
  process.exit(1);
}));`;

/** One TCP connection into the network namespace of the process `pid`. */
export const forwardInto = (pid: number, port: number, signal: AbortSignal): NodeJS.ReadWriteStream => {
  const child = spawn('nsenter', [`--net=/proc/${pid}/ns/net`, process.execPath, '-e', JOIN, String(port)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { stdin, stdout } = child;
  const stream = Duplex.from({ readable: stdout, writable: stdin });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const release = killed(child, signal);
  ended(child)
    .then((code) => {
      if (code !== 0 && !stream.destroyed)
        stream.destroy(new RuntimeError('PortForwardError', said || 'the connection was lost'));
    })
    .catch((error) => stream.destroy(error))
    .finally(release);
  finished(stream)
    .catch(() => {})
    .finally(() => child.kill());
  return stream;
};
