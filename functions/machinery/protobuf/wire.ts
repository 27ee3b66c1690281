import { badRequest } from '../status.ts';

/**
 * Protobuf's wire format, written into and read from one place at a time (nothing here is asynchronous, so one buffer
 * serves all). Integers are JavaScript numbers: beyond 2^53 they lose their last digits, as JSON numbers do.
 */
let out = Buffer.allocUnsafe(64 * 1024);
let at = 0;

const reserve = (bytes: number): void => {
  if (at + bytes <= out.length) return;
  const larger = Buffer.allocUnsafe(Math.max(out.length * 2, at + bytes));
  out.copy(larger, 0, 0, at);
  out = larger;
};

export const startWriting = (): void => {
  at = 0;
};
export const written = (): Buffer => Buffer.from(out.subarray(0, at));

const putVarint = (value: number): void => {
  let rest = value;
  while (rest > 127) {
    out[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
};

/** The largest double that an int64 holds; the least is exactly -2 ** 63. */
const INT64_MAX = 2 ** 63 - 1024;

/** Writes an integer of 64 bits. What no such integer can be ends at their bounds, NaN at 0. */
export const writeVarint = (value: number): void => {
  reserve(10);
  if (value >= 0) {
    putVarint(Math.min(value, INT64_MAX));
    return;
  }
  let rest = BigInt.asUintN(64, BigInt(Math.max(Math.trunc(value) || 0, -(2 ** 63))));
  for (let i = 0; i < 9; i++) {
    out[at++] = Number(rest & 127n) | 128;
    rest >>= 7n;
  }
  out[at++] = Number(rest);
};

export const writeDouble = (value: number): void => {
  reserve(8);
  at = out.writeDoubleLE(value, at);
};

export const writeString = (text: string): void => {
  const size = text.length < 42 ? text.length * 3 : Buffer.byteLength(text);
  reserve(size + 5);
  if (text.length < 42) {
    const length = out.write(text, at + 1, 'utf8');
    out[at] = length;
    at += length + 1;
    return;
  }
  putVarint(size);
  at += out.write(text, at, 'utf8');
};

export const writeBytes = (bytes: Uint8Array): void => {
  reserve(bytes.length + 5);
  putVarint(bytes.length);
  out.set(bytes, at);
  at += bytes.length;
};

export const writeRaw = (bytes: Uint8Array): void => {
  reserve(bytes.length);
  out.set(bytes, at);
  at += bytes.length;
};

/** Leaves one byte for a length; closeLength makes room for more where the content turns out longer. */
export const openLength = (): number => {
  reserve(6);
  return at++;
};

export const closeLength = (start: number): void => {
  const length = at - start - 1;
  if (length < 128) {
    out[start] = length;
    return;
  }
  const extra = length < 16384 ? 1 : length < 2097152 ? 2 : length < 268435456 ? 3 : 4;
  reserve(extra);
  out.copyWithin(start + 1 + extra, start + 1, at);
  at = start;
  putVarint(length);
  at += length;
};

/** A place in bytes being read. */
export interface Cursor {
  bytes: Buffer;
  at: number;
  end: number;
}

const broken = () => badRequest('the body is no valid protobuf message');

export const readVarint = (c: Cursor): number => {
  let value = 0;
  let factor = 1;
  const start = c.at;
  for (let i = 0; i < 7; i++) {
    if (c.at >= c.end) throw broken();
    const byte = c.bytes[c.at++] ?? 0;
    value += (byte & 127) * factor;
    if (byte < 128) return value;
    factor *= 128;
  }
  c.at = start;
  return readLong(c);
};

const readLong = (c: Cursor): number => {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    if (c.at >= c.end) throw broken();
    const byte = c.bytes[c.at++] ?? 0;
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return Number(BigInt.asIntN(64, value));
  }
  throw broken();
};

export const readDouble = (c: Cursor): number => {
  if (c.at + 8 > c.end) throw broken();
  const value = c.bytes.readDoubleLE(c.at);
  c.at += 8;
  return value;
};

/** Where a length-delimited value ends; the cursor stands at its first byte. */
export const readEnd = (c: Cursor): number => {
  const length = readVarint(c);
  const end = c.at + length;
  if (length < 0 || end > c.end) throw broken();
  return end;
};

export const readString = (c: Cursor): string => {
  const end = readEnd(c);
  const text = c.bytes.toString('utf8', c.at, end);
  c.at = end;
  return text;
};

export const readBytes = (c: Cursor): Buffer => {
  const end = readEnd(c);
  const bytes = c.bytes.subarray(c.at, end);
  c.at = end;
  return bytes;
};

export const skipValue = (c: Cursor, wire: number): void => {
  if (wire === 0) readVarint(c);
  else if (wire === 2) c.at = readEnd(c);
  else if (wire === 1 || wire === 5) c.at += wire === 1 ? 8 : 4;
  else throw broken();
  if (c.at > c.end) throw broken();
};

export { broken as brokenMessage };
