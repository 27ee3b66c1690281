import { kindTypeName } from '../facts.ts';
import { type Json, type JsonObject, parseGroupVersion } from '../object.ts';
import { badRequest } from '../status.ts';
import { hasMessage, messageName, readMessage, writeMessage } from './messages.ts';
import * as wire from './wire.ts';

/** Bodies of this type are `k8s\0` and a runtime.Unknown that holds the object (apimachinery's protobuf serializer). */
export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

const magic = Buffer.from([0x6b, 0x38, 0x73, 0]);
const unknown = 'k8s.io.apimachinery.pkg.runtime.Unknown';
const names = new Map<string, string | undefined>();

const messageOf = (apiVersion: string, kind: string): string | undefined => {
  const id = `${apiVersion}/${kind}`;
  if (names.has(id)) return names.get(id);
  const { group, version } = parseGroupVersion(apiVersion);
  const type = kindTypeName(group, version, kind);
  const own = type === undefined ? undefined : messageName(type);
  const shared = messageName(`~meta.v1.${kind}`);
  const name = own && hasMessage(own) ? own : hasMessage(shared) ? shared : undefined;
  if (names.size < 2000) names.set(id, name);
  return name;
};

/** Whether the kind can be written as protobuf: every built-in one can; custom resources and Table cannot. */
export const hasProtobuf = (apiVersion: string, kind: string): boolean => messageOf(apiVersion, kind) !== undefined;

export const isProtobuf = (body: Uint8Array): boolean => magic.every((byte, i) => body[i] === byte);

/** The body of an object by its apiVersion and kind, or undefined where its kind has no protobuf form. */
export const encodeProtobuf = (object: JsonObject): Buffer | undefined => {
  const apiVersion = String(object.apiVersion ?? '');
  const kind = String(object.kind ?? '');
  const name = messageOf(apiVersion, kind);
  if (name === undefined) return undefined;
  wire.startWriting();
  wire.writeRaw(magic);
  wire.writeVarint(10);
  const start = wire.openLength();
  wire.writeVarint(10);
  wire.writeString(apiVersion);
  wire.writeVarint(18);
  wire.writeString(kind);
  wire.closeLength(start);
  wire.writeVarint(18);
  const raw = wire.openLength();
  writeMessage(name, object);
  wire.closeLength(raw);
  return wire.written();
};

const parseJson = (text: string): Json => {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw badRequest('the object in the protobuf envelope is no JSON');
  }
};

/**
 * The object of a body, with apiVersion and kind. Go writes empty values too, so decode it by its schema afterwards, which
 * drops them. Throws StatusError 400 for broken bytes and for kinds without a protobuf form.
 */
export const decodeProtobuf = (body: Uint8Array): JsonObject => {
  if (!isProtobuf(body)) throw badRequest('the body does not start as a protobuf object does');
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const envelope = readMessage(unknown, bytes.subarray(magic.length));
  const typeMeta = (envelope.typeMeta ?? {}) as JsonObject;
  const raw = Buffer.from(String(envelope.raw ?? ''), 'base64');
  const apiVersion = String(typeMeta.apiVersion ?? '');
  const kind = String(typeMeta.kind ?? '');
  if (envelope.contentType === 'application/json') {
    const value = parseJson(raw.toString());
    if (value === null || typeof value !== 'object' || Array.isArray(value)) throw badRequest('the body is no object');
    return value;
  }
  const name = messageOf(apiVersion, kind);
  if (name === undefined)
    throw badRequest(`no kind ${JSON.stringify(kind)} of ${JSON.stringify(apiVersion)} has a protobuf form`);
  return { kind, apiVersion, ...readMessage(name, raw) };
};

/**
 * One frame of a watch (`application/vnd.kubernetes.protobuf;stream=watch`): four bytes of length, most significant first,
 * and a WatchEvent whose object is a whole body. Undefined where the object's kind has no protobuf form.
 */
export const encodeWatchFrame = (type: string, object: JsonObject): Buffer | undefined => {
  const body = encodeProtobuf(object);
  if (!body) return undefined;
  wire.startWriting();
  wire.writeRaw(new Uint8Array(4));
  wire.writeVarint(10);
  wire.writeString(type);
  wire.writeVarint(18);
  const start = wire.openLength();
  wire.writeVarint(10);
  wire.writeBytes(body);
  wire.closeLength(start);
  const frame = wire.written();
  frame.writeUInt32BE(frame.length - 4, 0);
  return frame;
};

/** The complete frames at the start of the bytes, and how many bytes they take. */
export const decodeWatchFrames = (bytes: Buffer): { events: { type: string; object: JsonObject }[]; used: number } => {
  const events: { type: string; object: JsonObject }[] = [];
  let used = 0;
  while (used + 4 <= bytes.length) {
    const end = used + 4 + bytes.readUInt32BE(used);
    if (end > bytes.length) break;
    events.push(readEvent({ bytes, at: used + 4, end }));
    used = end;
  }
  return { events, used };
};

const readEvent = (c: wire.Cursor): { type: string; object: JsonObject } => {
  let type = '';
  let body: Buffer = Buffer.alloc(0);
  while (c.at < c.end) {
    const tag = wire.readVarint(c);
    if (tag === 10) type = wire.readString(c);
    else if (tag === 18) {
      const end = wire.readEnd(c);
      if (wire.readVarint(c) !== 10) throw wire.brokenMessage();
      body = wire.readBytes(c);
      c.at = end;
    } else wire.skipValue(c, tag % 8);
  }
  return { type, object: decodeProtobuf(body) };
};
