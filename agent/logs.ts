import { createReadStream } from 'node:fs';
import { copyFile, open, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock } from '../functions/clock/clock.ts';

/** PodLogOptions, as far as the reader is concerned. */
export interface LogOptions {
  follow: boolean;
  tailLines?: number;
  sinceMs?: number;
  limitBytes?: number;
  timestamps: boolean;
}

export interface LogLine {
  timestamp: string;
  stream: 'stdout' | 'stderr';
  /** A piece of a longer line: no newline follows. */
  partial: boolean;
  content: Buffer;
}

const BRACE = 123;

/** One line as docker's json-file driver, and nerdctl's, write it: a piece of a line has no newline at its end. */
const parseJsonLine = (line: Buffer): LogLine | undefined => {
  try {
    const { log, stream, time } = JSON.parse(line.toString()) as { log: unknown; stream: unknown; time: unknown };
    if (typeof log !== 'string' || typeof time !== 'string') return undefined;
    if (stream !== 'stdout' && stream !== 'stderr') return undefined;
    const partial = !log.endsWith('\n');
    return { timestamp: time, stream, partial, content: Buffer.from(partial ? log : log.slice(0, -1)) };
  } catch {
    return undefined;
  }
};

/** One line of the CRI log format, `TIME STREAM P|F CONTENT`, or of json-file; undefined when it is neither. */
export const parseLogLine = (line: Buffer): LogLine | undefined => {
  if (line[0] === BRACE) return parseJsonLine(line);
  const first = line.indexOf(32);
  const second = line.indexOf(32, first + 1);
  const third = line.indexOf(32, second + 1);
  const end = third < 0 ? line.length : third;
  if (first < 0 || second < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tags = line.toString('latin1', second + 1, end);
  return {
    timestamp: line.toString('latin1', 0, first),
    stream,
    partial: tags.split(':')[0] === 'P',
    content: third < 0 ? Buffer.alloc(0) : line.subarray(third + 1),
  };
};

/** `0.log` and what rotation left of it, oldest first. */
const filesOf = async (path: string): Promise<string[]> => {
  const name = basename(path);
  const found = await readdir(dirname(path)).catch(() => []);
  const number = (file: string) => Number(file.slice(name.length + 1));
  const rotated = found.filter((file) => file.startsWith(`${name}.`) && Number.isInteger(number(file)));
  return [...rotated.sort((a, b) => number(b) - number(a)).map((file) => join(dirname(path), file)), path];
};

/** Splits bytes into lines, keeping an unfinished one for the next part. */
const createSplitter = () => {
  let rest = Buffer.alloc(0);
  return (part: Buffer): Buffer[] => {
    const lines: Buffer[] = [];
    const data = rest.length ? Buffer.concat([rest, part]) : part;
    let from = 0;
    for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10, from)) {
      lines.push(data.subarray(from, at));
      from = at + 1;
    }
    rest = Buffer.from(data.subarray(from));
    return lines;
  };
};

/** Whole lines counted from the end: the pieces of a partial line count as one. */
const tailOf = (lines: LogLine[], count: number): LogLine[] => {
  if (count <= 0) return [];
  let whole = 0;
  for (let at = lines.length - 1; at >= 0; at -= 1) {
    if (lines[at]?.partial === false && ++whole > count) return lines.slice(at + 1);
  }
  return lines;
};

async function* followFile(
  path: string,
  from: number,
  clock: Clock,
  done: () => boolean,
  signal: AbortSignal,
): AsyncIterable<LogLine> {
  let offset = from;
  let split = createSplitter();
  const buffer = Buffer.alloc(64 * 1024);
  for (let last = false; !signal.aborted; ) {
    const ended = done();
    const size = (await stat(path).catch(() => undefined))?.size ?? 0;
    if (size < offset) {
      // Rotated: the file was emptied in place.
      offset = 0;
      split = createSplitter();
    }
    if (size > offset) {
      const file = await open(path, 'r');
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset).finally(() => file.close());
      offset += bytesRead;
      for (const line of split(buffer.subarray(0, bytesRead))) {
        const parsed = parseLogLine(line);
        if (parsed) yield parsed;
      }
      continue;
    }
    if (last) return;
    last = ended;
    if (!last) await clock.sleep(100, signal).catch(() => {});
  }
}

/**
 * The log of one container run as the API gives it. `done` says that the container has ended, which ends following.
 * Throws when there is no log file.
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  clock: Clock,
  done: () => boolean,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  await stat(path);
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  let continues = false;
  const render = (line: LogLine): Buffer => {
    const head = options.timestamps && !continues ? Buffer.from(`${line.timestamp} `) : Buffer.alloc(0);
    continues = line.partial;
    const whole = Buffer.concat([head, line.content, Buffer.from(line.partial ? '' : '\n')]);
    const cut = whole.length > left ? whole.subarray(0, left) : whole;
    left -= cut.length;
    return cut;
  };
  const wanted = (line: LogLine) => options.sinceMs === undefined || Date.parse(line.timestamp) >= options.sinceMs;
  let held: LogLine[] = [];
  let size = 0;
  for (const file of await filesOf(path)) {
    const split = createSplitter();
    size = 0;
    for await (const part of createReadStream(file) as AsyncIterable<Buffer>) {
      const lines = split(part);
      size += lines.reduce((sum, line) => sum + line.length + 1, 0);
      for (const bytes of lines) {
        const line = parseLogLine(bytes);
        if (!line || !wanted(line)) continue;
        if (options.tailLines !== undefined) held.push(line);
        else yield render(line);
        if (left <= 0) return;
      }
      if (options.tailLines !== undefined && held.length > 2 * options.tailLines + 1000)
        held = tailOf(held, options.tailLines);
    }
  }
  for (const line of tailOf(held, options.tailLines ?? 0)) {
    yield render(line);
    if (left <= 0) return;
  }
  if (!options.follow) return;
  for await (const line of followFile(path, size, clock, done, signal)) {
    if (!wanted(line)) continue;
    yield render(line);
    if (left <= 0) return;
  }
}

/**
 * Rotates a log over `maxBytes`: copied to `.1` (older ones move up, `keep` files in all) and emptied in place, since its
 * writer appends and is not told. Lines written between copy and emptying are lost. Returns whether it did.
 */
export const rotateLog = async (path: string, maxBytes = 10 * 1024 * 1024, keep = 5): Promise<boolean> => {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size <= maxBytes) return false;
  await rm(`${path}.${keep - 1}`, { force: true });
  for (let at = keep - 2; at >= 1; at -= 1) await rename(`${path}.${at}`, `${path}.${at + 1}`).catch(() => {});
  await copyFile(path, `${path}.1`);
  await truncate(path, 0);
  return true;
};
