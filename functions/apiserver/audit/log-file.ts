import {
  closeSync,
  createReadStream,
  createWriteStream,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  write as writeInBackground,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export interface LogFileOptions {
  path: string;
  /** Bytes; 0 never rotates. */
  bytesMax: number;
  /** Rotated files kept, by number and by age; 0 keeps all. */
  backupsMax: number;
  ageMsMax: number;
  compress: boolean;
  now(): number;
  /** What could not be tidied up; writing goes on. */
  onFault(error: Error): void;
}

/** A file that lines are appended to, whole or not at all. */
export interface LogFile {
  /** Writes lines that each end with a line end. Throws where not all of it could be written (ENOSPC). */
  write(lines: Uint8Array): void;
  /** The same, beside the event loop; writes are to follow each other. */
  writeLater(lines: Uint8Array): Promise<void>;
  /** Resolves when rotated files are tidied up. */
  settled(): Promise<void>;
  close(): void;
}

const LINE_END = Buffer.from('\n');
const DAY_FORMAT = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}$/;
/** `2026-01-31T10-20-30.123`: how rotated files are told apart, as upstream names them. */
const stampOf = (ms: number): string => new Date(ms).toISOString().slice(0, 23).replaceAll(':', '-');
const timeOf = (stamp: string): number =>
  Date.parse(`${stamp.slice(0, 13)}:${stamp.slice(14, 16)}:${stamp.slice(17)}Z`);

interface Backup {
  path: string;
  at: number;
  packed: boolean;
}

const backupsOf = (path: string): Backup[] => {
  const folder = dirname(path);
  const end = extname(path);
  const start = `${basename(path, end)}-`;
  const out: Backup[] = [];
  for (const name of readdirSync(folder)) {
    const packed = name.endsWith('.gz');
    const plain = packed ? name.slice(0, -3) : name;
    if (!plain.startsWith(start) || !plain.endsWith(end)) continue;
    const stamp = plain.slice(start.length, plain.length - end.length);
    if (DAY_FORMAT.test(stamp)) out.push({ path: join(folder, name), at: timeOf(stamp), packed });
  }
  return out.sort((a, b) => b.at - a.at);
};

const pack = async (path: string): Promise<void> => {
  await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz`, { mode: 0o600 }));
  rmSync(path, { force: true });
};

const openLog = (path: string): { fd: number; size: number } => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = openSync(path, 'a', 0o600);
  return { fd, size: fstatSync(fd).size };
};

const writeSome = (fd: number, bytes: Uint8Array, from: number): Promise<number> =>
  new Promise((resolve, reject) => {
    writeInBackground(fd, bytes, from, (error, written) => (error ? reject(error) : resolve(written)));
  });

/** Opens a log file, whose folder is made where it is missing. Throws where it cannot be written. */
export const openLogFile = (options: LogFileOptions): LogFile => {
  const { path, bytesMax, backupsMax, ageMsMax, compress, now, onFault } = options;
  let file = openLog(path);
  /** A write was cut off: the next one begins on a line of its own. */
  let torn = false;
  let tidying: Promise<void> = Promise.resolve();

  const tidy = async (): Promise<void> => {
    const oldest = ageMsMax ? now() - ageMsMax : Number.NEGATIVE_INFINITY;
    let kept = 0;
    for (const backup of backupsOf(path)) {
      if (backup.at < oldest || (backupsMax > 0 && kept >= backupsMax)) rmSync(backup.path, { force: true });
      else {
        kept++;
        if (compress && !backup.packed) await pack(backup.path);
      }
    }
  };

  const rotate = (): void => {
    const end = extname(path);
    const stem = path.slice(0, path.length - end.length);
    let at = now();
    const taken = new Set(backupsOf(path).map((one) => one.at));
    while (taken.has(at)) at++;
    closeSync(file.fd);
    try {
      renameSync(path, `${stem}-${stampOf(at)}${end}`);
    } finally {
      file = openLog(path);
    }
    torn = false;
    tidying = tidying.then(tidy).catch(onFault);
  };

  /** The bytes to write, into a file that has room for them. */
  const ready = (lines: Uint8Array): Uint8Array => {
    if (bytesMax > 0 && file.size > 0 && file.size + lines.byteLength > bytesMax) rotate();
    return torn ? Buffer.concat([LINE_END, lines]) : lines;
  };

  /** So much of it stands in the file; whether that was all of it. */
  const wrote = (bytes: Uint8Array, length: number): void => {
    file.size += length;
    torn = length < bytes.byteLength && (length > 0 ? bytes[length - 1] !== LINE_END[0] : torn);
  };

  return {
    writeLater: async (lines) => {
      const bytes = ready(lines);
      let written = 0;
      try {
        while (written < bytes.byteLength) written += await writeSome(file.fd, bytes, written);
      } finally {
        wrote(bytes, written);
      }
    },
    write: (lines) => {
      const bytes = ready(lines);
      let written = 0;
      try {
        while (written < bytes.byteLength) written += writeSync(file.fd, bytes, written);
      } finally {
        wrote(bytes, written);
      }
    },
    settled: () => tidying,
    close: () => closeSync(file.fd),
  };
};
