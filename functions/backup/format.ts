import { createHash } from 'node:crypto';
import type { Indexed } from '../store/store.ts';

// A snapshot is lines of JSON, compressed with gzip as a whole by whoever writes the file: a header, for each domain a line
// with its revision and one for each of its objects, and an end with the digest of every line before it.

export const FORMAT = 'skiff-snapshot';
/** Files of a higher version are refused; lower ones would be read as they were meant. */
export const VERSION = 1;

export interface Header {
  format: typeof FORMAT;
  version: number;
  cluster: string;
  /** RFC 3339, UTC: when the heads were read. */
  takenAt: string;
}
export interface DomainLine {
  group: string;
  resource: string;
  /** The head that the objects are of. */
  revision: string;
}
export interface ObjectLine {
  key: string;
  index: Indexed;
  /** What was stored; the resourceVersion of an API object is given anew when it is restored. */
  value: unknown;
}
export interface EndLine {
  sha256: string;
  domains: number;
  objects: number;
}
export type Line = { header: Header } | { domain: DomainLine } | { object: ObjectLine } | { end: EndLine };

/** A snapshot that cannot be used, with a sentence that says why. */
export class SnapshotRefused extends Error {
  override name = 'SnapshotRefused';
}

/** Writes lines, counting and digesting them. */
export const createLines = () => {
  const digest = createHash('sha256');
  let domains = 0;
  let objects = 0;
  const text = (line: Line): string => {
    const out = `${JSON.stringify(line)}\n`;
    digest.update(out);
    return out;
  };
  return {
    header: (header: Header): string => text({ header }),
    domain: (domain: DomainLine): string => {
      domains++;
      return text({ domain });
    },
    object: (object: ObjectLine): string => {
      objects++;
      return text({ object });
    },
    end: (): string => `${JSON.stringify({ end: { sha256: digest.copy().digest('hex'), domains, objects } })}\n`,
  };
};

const parse = (line: string): Line => {
  try {
    const value = JSON.parse(line) as Line;
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Told below.
  }
  throw new SnapshotRefused('the snapshot is damaged: a line of it is no JSON');
};

/**
 * Reads lines one by one; throws SnapshotRefused for a file of something else, of a newer version, or a damaged one. The
 * digest is known only at the end: nothing of what is read may be believed before `close` returns.
 */
export const readLines = () => {
  const digest = createHash('sha256');
  let header: Header | undefined;
  let ended: EndLine | undefined;
  let domains = 0;
  let objects = 0;
  return {
    next(text: string): Exclude<Line, { end: EndLine }> | undefined {
      if (ended) throw new SnapshotRefused('the snapshot is damaged: it goes on after its end');
      const line = parse(text);
      if (!header) {
        if (!('header' in line) || line.header?.format !== FORMAT)
          throw new SnapshotRefused('this is no snapshot of skiff');
        if (line.header.version > VERSION) {
          throw new SnapshotRefused(
            `the snapshot is of version ${line.header.version}; this skiff reads up to version ${VERSION}`,
          );
        }
        header = line.header;
      } else if ('header' in line) throw new SnapshotRefused('the snapshot is damaged: it has two headers');
      if ('end' in line) {
        ended = line.end;
        return undefined;
      }
      digest.update(`${text}\n`);
      if ('domain' in line) domains++;
      if ('object' in line) objects++;
      return line;
    },
    close(): Header & { domains: number; objects: number } {
      if (!header) throw new SnapshotRefused('the file is empty');
      if (!ended) throw new SnapshotRefused('the snapshot is damaged: it has no end');
      const whole = ended.domains === domains && ended.objects === objects;
      if (!whole || ended.sha256 !== digest.digest('hex')) {
        throw new SnapshotRefused('the snapshot is damaged: its content does not fit its checksum');
      }
      return { ...header, domains, objects };
    },
  };
};
