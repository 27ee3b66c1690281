import factsJson from '../../../facts/facts.json' with { type: 'json' };
import protoJson from '../../../facts/proto.json' with { type: 'json' };
import type { Json, JsonObject } from '../object.ts';
import { badRequest } from '../status.ts';
import { specialCodec } from './special.ts';
import * as wire from './wire.ts';

/** Reads and writes one type. A length-delimited value writes and reads its length itself. */
export interface Codec {
  wire: 0 | 1 | 2;
  write: (value: Json) => void;
  read: (c: wire.Cursor) => Json;
}

interface Slot {
  name: string;
  label: 'single' | 'repeated' | 'map' | 'inline';
  tag: number;
  codec: Codec;
  table: Table | undefined;
}
interface Table {
  slots: Slot[];
  byNumber: Map<number, Slot>;
}

const messages = protoJson as unknown as Record<string, Record<string, [number, string, string]>>;
const types = factsJson.types as unknown as Record<string, Record<string, unknown> | undefined>;

/** The message of a type of facts.json, by its short name. */
export const messageName = (type: string): string => {
  const rest = type.replace(/^[~+*]+/, '');
  if (type.startsWith('~~')) return `k8s.io.apimachinery.pkg.${rest}`;
  if (type.startsWith('~')) return `k8s.io.apimachinery.pkg.apis.${rest}`;
  if (type.startsWith('+')) return `k8s.io.apiextensions_apiserver.pkg.apis.${rest}`;
  return type.startsWith('*') ? `k8s.io.kube_aggregator.pkg.apis.${rest}` : `k8s.io.api.${rest}`;
};

const prefixes: [string, string][] = [
  ['k8s.io.apimachinery.pkg.apis.', '~'],
  ['k8s.io.apimachinery.pkg.', '~~'],
  ['k8s.io.apiextensions_apiserver.pkg.apis.', '+'],
  ['k8s.io.kube_aggregator.pkg.apis.', '*'],
  ['k8s.io.api.', ''],
];
const shortName = (message: string): string => {
  for (const [prefix, short] of prefixes) if (message.startsWith(prefix)) return short + message.slice(prefix.length);
  return message;
};

const plain = (name: string): string => name.replace(/[^a-zA-Z0-9]/g, '').toLowerCase();

/** JSON names by what protobuf makes of them; an embedded structure of Go has a field in protobuf and none in JSON. */
const jsonNames = (message: string): Map<string, string> | undefined => {
  const fields = types[shortName(message)];
  return fields && new Map(Object.keys(fields).map((name) => [plain(name), name]));
};

const scalars: Record<string, Codec> = {
  string: { wire: 2, write: (v) => wire.writeString(String(v)), read: wire.readString },
  bytes: {
    wire: 2,
    write: (v) => wire.writeBytes(Buffer.from(String(v), 'base64')),
    read: (c) => wire.readBytes(c).toString('base64'),
  },
  bool: { wire: 0, write: (v) => wire.writeVarint(v === true ? 1 : 0), read: (c) => wire.readVarint(c) !== 0 },
  int32: { wire: 0, write: (v) => wire.writeVarint(Number(v)), read: wire.readVarint },
  int64: { wire: 0, write: (v) => wire.writeVarint(Number(v)), read: wire.readVarint },
  double: { wire: 1, write: (v) => wire.writeDouble(Number(v)), read: wire.readDouble },
};

const codecs = new Map<string, Codec>();
const tables = new Map<string, Table>();

const resolve = (type: string, message: string): string => {
  const name = type.startsWith('.') ? type.slice(1) : type;
  return name.includes('.') ? name : `${message.slice(0, message.lastIndexOf('.'))}.${name}`;
};

const codecOf = (type: string, message: string): Codec => {
  const scalar = scalars[type];
  if (scalar) return scalar;
  const name = resolve(type, message);
  const known = codecs.get(name);
  if (known) return known;
  const codec = specialCodec(name, (other) => codecOf(other, name)) ?? messageCodec(name);
  codecs.set(name, codec);
  return codec;
};

const mapCodec = (values: Codec): Codec => ({
  wire: 2,
  write: (value) => {
    const [key, inner] = value as [string, Json];
    const start = wire.openLength();
    wire.writeVarint(10);
    wire.writeString(key);
    wire.writeVarint(16 + values.wire);
    values.write(inner);
    wire.closeLength(start);
  },
  read: (c) => {
    const end = wire.readEnd(c);
    const inner = { bytes: c.bytes, at: c.at, end };
    let key = '';
    let value: Json | undefined;
    while (inner.at < end) {
      const tag = wire.readVarint(inner);
      if (tag === 10) key = wire.readString(inner);
      else if (tag === 16 + values.wire) value = values.read(inner);
      else wire.skipValue(inner, tag & 7);
    }
    c.at = end;
    return [key, value ?? (values.wire === 2 ? '' : 0)];
  },
});

const slotOf = (
  message: string,
  name: string,
  [number, type, label]: [number, string, string],
  names: Map<string, string> | undefined,
): Slot => {
  const of = label === 'm' ? type.slice(type.indexOf(',') + 1, -1) : type;
  const isMessage = scalars[of] === undefined;
  const json = names ? names.get(plain(name)) : name;
  const inline = json === undefined && isMessage && label === 'o';
  const codec = label === 'm' ? mapCodec(codecOf(of, message)) : codecOf(of, message);
  return {
    name: json ?? name,
    label: inline ? 'inline' : label === 'm' ? 'map' : label === 'r' ? 'repeated' : 'single',
    tag: number * 8 + codec.wire,
    codec,
    table: inline ? tableOf(resolve(of, message)) : undefined,
  };
};

const tableOf = (message: string): Table => {
  const known = tables.get(message);
  if (known) return known;
  const fields = messages[message];
  if (!fields) throw new Error(`the facts hold no message ${message}`);
  const table: Table = { slots: [], byNumber: new Map() };
  tables.set(message, table);
  const names = jsonNames(message);
  for (const name of Object.keys(fields)) {
    const field = fields[name];
    if (!field) continue;
    const slot = slotOf(message, name, field, names);
    table.slots.push(slot);
    table.byNumber.set(field[0], slot);
  }
  return table;
};

const writeFields = (table: Table, value: JsonObject): void => {
  for (const slot of table.slots) {
    if (slot.label === 'inline') {
      if (slot.table && hasAny(slot.table, value)) {
        wire.writeVarint(slot.tag);
        const start = wire.openLength();
        writeFields(slot.table, value);
        wire.closeLength(start);
      }
      continue;
    }
    const given = value[slot.name];
    if (given === undefined || given === null) continue;
    if (slot.label === 'single') {
      wire.writeVarint(slot.tag);
      slot.codec.write(given);
    } else if (slot.label === 'map') {
      for (const key of Object.keys(given)) {
        wire.writeVarint(slot.tag);
        slot.codec.write([key, (given as JsonObject)[key] ?? '']);
      }
    } else {
      for (const item of given as Json[]) {
        wire.writeVarint(slot.tag);
        slot.codec.write(item);
      }
    }
  }
};

const hasAny = (table: Table, value: JsonObject): boolean =>
  table.slots.some((s) =>
    s.label === 'inline' ? s.table !== undefined && hasAny(s.table, value) : value[s.name] !== undefined,
  );

let depth = 0;
const maxDepth = 200;

const readFields = (table: Table, c: wire.Cursor, out: JsonObject): JsonObject => {
  if (++depth > maxDepth) throw badRequest('the protobuf message is nested too deeply');
  while (c.at < c.end) {
    const tag = wire.readVarint(c);
    const slot = table.byNumber.get(Math.floor(tag / 8));
    if (!slot || slot.tag !== tag) {
      wire.skipValue(c, tag % 8);
      continue;
    }
    if (slot.table) {
      const end = wire.readEnd(c);
      readFields(slot.table, { bytes: c.bytes, at: c.at, end }, out);
      c.at = end;
      continue;
    }
    readInto(slot, c, out);
  }
  depth--;
  return out;
};

const readInto = (slot: Slot, c: wire.Cursor, out: JsonObject): void => {
  const value = slot.codec.read(c);
  if (slot.label === 'repeated') {
    out[slot.name] ??= [];
    (out[slot.name] as Json[]).push(value);
  } else if (slot.label === 'map') {
    out[slot.name] ??= {};
    const [key, inner] = value as [string, Json];
    if (key !== '__proto__') (out[slot.name] as JsonObject)[key] = inner;
  } else if (value !== null) out[slot.name] = value;
};

const messageCodec = (name: string): Codec => {
  let table: Table | undefined;
  return {
    wire: 2,
    write: (value) => {
      table ??= tableOf(name);
      const start = wire.openLength();
      writeFields(table, value as JsonObject);
      wire.closeLength(start);
    },
    read: (c) => {
      table ??= tableOf(name);
      const end = wire.readEnd(c);
      const value = readFields(table, { bytes: c.bytes, at: c.at, end }, {});
      c.at = end;
      return value;
    },
  };
};

/** Whether the facts hold the message. */
export const hasMessage = (name: string): boolean => messages[name] !== undefined;

/** Writes the fields of a message, without a length, after what was written before. */
export const writeMessage = (name: string, value: JsonObject): void => {
  writeFields(tableOf(name), value);
};

/** Reads a whole message. Throws StatusError 400 for broken bytes. */
export const readMessage = (name: string, bytes: Buffer): JsonObject => {
  depth = 0;
  return readFields(tableOf(name), { bytes, at: 0, end: bytes.length }, {});
};
