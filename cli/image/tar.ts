// Writes tar archives (POSIX ustar with GNU long names), the same bytes for the same input.

export interface TarEntry {
  /** Relative, without a leading slash. */
  path: string;
  type: 'file' | 'directory' | 'symlink';
  mode: number;
  size: number;
  link?: string;
}

const BLOCK = 512;
const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;

const header = (name: string, entry: Omit<TarEntry, 'path'>, flag: string): Buffer => {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 100);
  block.write(octal(entry.mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(entry.size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write('        ', 148);
  block.write(flag, 156);
  block.write(entry.link ?? '', 157, 100);
  block.write('ustar\x0000', 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
};

/** Zeroes that fill the last block of a file of this size. */
export const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);

const long = (text: string, flag: 'L' | 'K'): Buffer => {
  const data = Buffer.from(`${text}\0`);
  const head = header('././@LongLink', { type: 'file', mode: 0o644, size: data.length }, flag);
  return Buffer.concat([head, data, padding(data.length)]);
};

/** The header of an entry; its content, if any, and padding(size) follow. */
export const entryHeader = (entry: TarEntry): Buffer => {
  const name = entry.type === 'directory' && !entry.path.endsWith('/') ? `${entry.path}/` : entry.path;
  const flag = entry.type === 'directory' ? '5' : entry.type === 'symlink' ? '2' : '0';
  const parts: Buffer[] = [];
  if (Buffer.byteLength(name) > 100) parts.push(long(name, 'L'));
  if (Buffer.byteLength(entry.link ?? '') > 100) parts.push(long(entry.link ?? '', 'K'));
  parts.push(header(name, entry, flag));
  return Buffer.concat(parts);
};

/** Two empty blocks end an archive. */
export const endOfArchive = (): Buffer => Buffer.alloc(BLOCK * 2);
