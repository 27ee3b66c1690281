import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { stringify } from 'yaml';
import { groupVersion, type Json, type JsonObject, type KubeObject } from '../machinery/object.ts';
import { encodeProtobuf } from '../machinery/protobuf/codec.ts';
import { notAcceptable, type Status } from '../machinery/status.ts';
import type { Stored } from '../store/store.ts';
import type { AnyObject, Call } from './context.ts';
import { contentTypes, includeObject, type Negotiated } from './negotiate.ts';
import { plainResponse } from './plain-response.ts';
import { tableOf, tableShapeOf } from './printers/table.ts';
import type { ResourceInfo } from './registry.ts';
import { bytesToSend, headLength, parseStored, readied } from './stored-object.ts';
import { warningHeaders } from './warnings.ts';

const compress = promisify(gzip);
/** Answers from this size on are compressed for clients that accept it: upstream's threshold. */
const gzipBytesMin = 128 * 1024;

type PlainHeaders = Record<string, string | string[]>;

const headersFor = (requestId: string, type: string, warnings: readonly string[]): PlainHeaders => {
  const headers: PlainHeaders = {
    'content-type': type,
    'cache-control': 'no-cache, private',
    'audit-id': requestId,
  };
  if (warnings.length > 0) headers.warning = warningHeaders(warnings);
  return headers;
};

export const headersOf = (call: Call, type: string): PlainHeaders => headersFor(call.requestId, type, call.warnings);

const encode = (value: object, accept: Negotiated): Uint8Array | string => {
  // Keys sorted, and quoted where YAML 1.1 would read something else than text, as upstream's encoder does.
  if (accept.media === 'yaml')
    return stringify(value, { version: '1.1', sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false });
  if (accept.media === 'protobuf') {
    const bytes = encodeProtobuf(value as JsonObject);
    if (!bytes) throw notAcceptable(['application/json', 'application/yaml']);
    return bytes;
  }
  return accept.pretty ? `${JSON.stringify(value, null, 2)}\n` : `${JSON.stringify(value)}\n`;
};

/** A value in the form asked for. */
const sendValue = (call: Call, status: number, value: object): Response | Promise<Response> => {
  call.trail?.answer(value);
  return send(call, status, encode(value, call.accept));
};

/** JSON that goes out as it is. */
const sendJson = (call: Call, status: number, body: Uint8Array): Response | Promise<Response> => {
  call.trail?.answerJson(body);
  return send(call, status, body);
};

const send = (call: Call, status: number, body: Uint8Array | string): Response | Promise<Response> => {
  const headers = headersOf(call, contentTypes[call.accept.media]);
  const size = typeof body === 'string' ? body.length : body.byteLength;
  const isLarge = size >= gzipBytesMin && call.info.verb !== 'watch';
  if (!isLarge || !(call.request.headers.get('accept-encoding') ?? '').includes('gzip'))
    return plainResponse({ status, headers, body });
  headers['content-encoding'] = 'gzip';
  headers.vary = 'Accept-Encoding';
  return compress(body, { level: 1 }).then((packed) => plainResponse({ status, headers, body: packed }));
};

/** A Status as the client asked for it. */
export const statusResponse = (
  requestId: string,
  status: Status,
  code: number,
  accept?: Negotiated,
  warnings: readonly string[] = [],
): Response => {
  const retry = status.details?.retryAfterSeconds;
  const shape: Negotiated = { media: accept?.media ?? 'json', as: '', version: '', pretty: accept?.pretty ?? false };
  const headers = headersFor(requestId, contentTypes[shape.media], warnings);
  if (retry) headers['retry-after'] = String(retry);
  return plainResponse({ status: code, headers, body: encode(status, shape) });
};

/** A write's answer that is a Status, as the client asked for it. */
export const outcomeResponse = (call: Call, status: Status, code: number): Response => {
  call.trail?.answer(status);
  return statusResponse(call.requestId, status, code, call.accept, call.warnings);
};

const partial = (object: KubeObject, version: string) => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
});

const shapeOf = ({ group, kind, definition }: ResourceInfo) => definition?.table ?? tableShapeOf(group, kind);
/** A subresource may answer with another kind than its resource's: a Scale is printed as one. */
const shapeFor = (resource: ResourceInfo, { kind, apiVersion }: KubeObject) =>
  kind === resource.kind || !kind ? shapeOf(resource) : tableShapeOf(groupOf(apiVersion ?? ''), kind);
const groupOf = (apiVersion: string): string => apiVersion.slice(0, Math.max(apiVersion.indexOf('/'), 0));

/** One object in the shape asked for, as a value. */
export const shaped = (call: Call, object: KubeObject, withColumns = true): object => {
  const { accept, resource, info } = call;
  if (accept.as === 'PartialObjectMetadata') return partial(object, accept.version);
  if (accept.as !== 'Table') return object;
  const table = tableOf(shapeFor(resource, object), [object], {
    now: call.server.clock.now(),
    include: includeObject(info.query),
    metadata: object.metadata.resourceVersion ? { resourceVersion: object.metadata.resourceVersion } : {},
    withColumns,
  });
  return { ...table, apiVersion: `meta.k8s.io/${accept.version}` };
};

/** An object given as a value: a write's answer, a review, a Scale. */
export const objectResponse = (call: Call, code: number, object: object): Response | Promise<Response> =>
  sendValue(call, code, shaped(call, object as KubeObject));

/** An object as stored: its own bytes when nothing about them has to change. */
export const storedResponse = (call: Call, code: number, stored: Stored): Response | Promise<Response> => {
  const converted = readied(call.resource, [stored]);
  return converted ? converted.then(() => readyResponse(call, code, stored)) : readyResponse(call, code, stored);
};

const readyResponse = (call: Call, code: number, stored: Stored): Response | Promise<Response> => {
  const { accept, resource } = call;
  if (accept.media === 'json' && !accept.as && !accept.pretty)
    return sendJson(call, code, bytesToSend(resource, stored));
  return objectResponse(call, code, parseStored(resource, stored.bytes));
};

export interface ListMeta {
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
}

const comma = Buffer.from(',');
const open = Buffer.from('{');
const close = Buffer.from(']}\n');

/** Built-in lists leave kind and apiVersion out of their items, as Go's typed encoder does. */
const listBytes = (resource: ResourceInfo, items: readonly Stored[], meta: ListMeta): Uint8Array => {
  const head = `{"kind":${JSON.stringify(resource.listKind)},"apiVersion":${JSON.stringify(groupVersion(resource.group, resource.version))},"metadata":${JSON.stringify(meta)},"items":[`;
  const parts: Uint8Array[] = [Buffer.from(head)];
  const skip = resource.custom || resource.convert ? 0 : headLength(resource);
  items.forEach((item, i) => {
    if (i) parts.push(comma);
    if (skip) parts.push(open, item.bytes.subarray(skip));
    else parts.push(resource.convert ? convertedItem(resource, item) : item.bytes);
  });
  parts.push(close);
  return Buffer.concat(parts);
};

const bare = (object: AnyObject): object => {
  const { kind: _kind, apiVersion: _version, ...rest } = object;
  return rest;
};

const convertedItem = (resource: ResourceInfo, item: Stored): Uint8Array => {
  const object = parseStored(resource, item.bytes);
  return Buffer.from(JSON.stringify(resource.custom ? object : bare(object)));
};

/** A list in the shape asked for. */
export const listResponse = (call: Call, items: readonly Stored[], meta: ListMeta): Response | Promise<Response> => {
  const converted = readied(call.resource, items);
  return converted ? converted.then(() => readyList(call, items, meta)) : readyList(call, items, meta);
};

const readyList = (call: Call, items: readonly Stored[], given: ListMeta): Response | Promise<Response> => {
  const { accept, resource, info } = call;
  // Go encodes a custom resource's list from a map, where what is not set is an empty text.
  const meta = resource.custom && !accept.as ? { ...given, continue: given.continue ?? '' } : given;
  if (accept.media === 'json' && !accept.as && !accept.pretty)
    return sendJson(call, 200, listBytes(resource, items, meta));
  const objects = items.map((item) => parseStored(resource, item.bytes));
  if (accept.as === 'Table') {
    const options = {
      now: call.server.clock.now(),
      include: includeObject(info.query),
      metadata: meta,
      withColumns: true,
    };
    const table = tableOf(shapeOf(resource), objects, options);
    return sendValue(call, 200, { ...table, apiVersion: `meta.k8s.io/${accept.version}` });
  }
  if (accept.as === 'PartialObjectMetadataList') {
    const list = {
      kind: 'PartialObjectMetadataList',
      apiVersion: `meta.k8s.io/${accept.version}`,
      metadata: meta,
      items: objects.length ? objects.map((o) => partial(o, accept.version)) : null,
    };
    return sendValue(call, 200, list);
  }
  const list = {
    kind: resource.listKind,
    apiVersion: groupVersion(resource.group, resource.version),
    metadata: meta as unknown as Json,
    items: resource.custom ? objects : objects.map(bare),
  };
  return sendValue(call, 200, list);
};
