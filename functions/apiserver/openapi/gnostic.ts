// The Swagger 2.0 document as gnostic's OpenAPIv2 protobuf (application/com.github.proto-openapi.spec.v2@v1.0+protobuf):
// the only form of /openapi/v2 that kubectl asks for. Field numbers: github.com/google/gnostic-models OpenAPIv2.proto.
import { stringify } from 'yaml';
import type { OpenApiSchema } from './schemas.ts';

const text = new TextEncoder();

/** One message under construction: appends fields in protobuf wire format. */
const message = () => {
  const parts: Uint8Array[] = [];
  let size = 0;
  const push = (bytes: Uint8Array) => {
    parts.push(bytes);
    size += bytes.length;
  };
  const varint = (value: number) => {
    const out: number[] = [];
    let v = value;
    while (v > 0x7f) {
      out.push((v & 0x7f) | 0x80);
      v = Math.floor(v / 128);
    }
    out.push(v);
    push(Uint8Array.from(out));
  };
  const self = {
    bytes: (field: number, value: Uint8Array) => {
      varint(field * 8 + 2);
      varint(value.length);
      push(value);
      return self;
    },
    string: (field: number, value: unknown) =>
      typeof value === 'string' && value !== '' ? self.bytes(field, text.encode(value)) : self,
    strings: (field: number, values: unknown) => {
      for (const v of Array.isArray(values) ? values : []) self.bytes(field, text.encode(String(v)));
      return self;
    },
    bool: (field: number, value: unknown) => {
      if (value === true) {
        varint(field * 8);
        varint(1);
      }
      return self;
    },
    integer: (field: number, value: unknown) => {
      if (typeof value === 'number' && value > 0) {
        varint(field * 8);
        varint(value);
      }
      return self;
    },
    double: (field: number, value: unknown) => {
      if (typeof value !== 'number' || value === 0) return self;
      varint(field * 8 + 1);
      const b = new Uint8Array(8);
      new DataView(b.buffer).setFloat64(0, value, true);
      push(b);
      return self;
    },
    done: (): Uint8Array => {
      const out = new Uint8Array(size);
      let at = 0;
      for (const p of parts) {
        out.set(p, at);
        at += p.length;
      }
      return out;
    },
  };
  return self;
};

const any = (value: unknown): Uint8Array => message().string(2, stringify(value)).done();
const namedAny = (name: string, value: unknown): Uint8Array => message().string(1, name).bytes(2, any(value)).done();
type Message = ReturnType<typeof message>;
const extensions = (m: Message, field: number, object: OpenApiSchema): Message => {
  for (const [k, v] of Object.entries(object)) if (k.startsWith('x-')) m.bytes(field, namedAny(k, v));
  return m;
};

const schema = (s: OpenApiSchema): Uint8Array => {
  const m = message().string(1, s.$ref).string(2, s.format).string(3, s.title).string(4, s.description);
  if (s.default !== undefined) m.bytes(5, any(s.default));
  m.double(6, s.multipleOf).double(7, s.maximum).bool(8, s.exclusiveMaximum);
  m.double(9, s.minimum).bool(10, s.exclusiveMinimum).integer(11, s.maxLength).integer(12, s.minLength);
  m.string(13, s.pattern).integer(14, s.maxItems).integer(15, s.minItems).bool(16, s.uniqueItems);
  m.integer(17, s.maxProperties).integer(18, s.minProperties).strings(19, s.required);
  for (const value of Array.isArray(s.enum) ? s.enum : []) m.bytes(20, any(value));
  const additional = s.additionalProperties;
  if (typeof additional === 'boolean') m.bytes(21, message().bool(2, additional).done());
  else if (additional)
    m.bytes(
      21,
      message()
        .bytes(1, schema(additional as OpenApiSchema))
        .done(),
    );
  if (s.type) m.bytes(22, message().strings(1, [s.type].flat()).done());
  if (s.items)
    m.bytes(
      23,
      message()
        .bytes(1, schema(s.items as OpenApiSchema))
        .done(),
    );
  for (const part of Array.isArray(s.allOf) ? s.allOf : []) m.bytes(24, schema(part as OpenApiSchema));
  if (s.properties) m.bytes(25, namedSchemas(s.properties as Record<string, OpenApiSchema>));
  return extensions(m, 31, s).done();
};

/** Properties and Definitions have the same shape: repeated NamedSchema in field 1. */
const namedSchemas = (schemas: Record<string, OpenApiSchema>): Uint8Array => {
  const m = message();
  for (const [name, s] of Object.entries(schemas)) m.bytes(1, message().string(1, name).bytes(2, schema(s)).done());
  return m.done();
};

/** QueryParameterSubSchema and PathParameterSubSchema differ in where the name's neighbours stand. */
const parameterItem = (p: OpenApiSchema): Uint8Array =>
  p.$ref ? message().bytes(2, message().string(1, p.$ref).done()).done() : message().bytes(1, parameter(p)).done();

const parameter = (p: OpenApiSchema): Uint8Array => {
  if (p.in === 'body') {
    const body = message().string(1, p.description).string(2, p.name).string(3, 'body').bool(4, p.required);
    body.bytes(5, schema((p.schema ?? {}) as OpenApiSchema));
    return message().bytes(1, body.done()).done();
  }
  const path = p.in === 'path';
  const sub = message().bool(1, p.required).string(2, p.in).string(3, p.description).string(4, p.name);
  sub.string(path ? 5 : 6, p.type);
  const nonBody = message().bytes(path ? 4 : 3, sub.done());
  return message().bytes(2, nonBody.done()).done();
};

const response = (r: OpenApiSchema): Uint8Array => {
  const m = message().string(1, r.description);
  if (r.schema)
    m.bytes(
      2,
      message()
        .bytes(1, schema(r.schema as OpenApiSchema))
        .done(),
    );
  return message().bytes(1, m.done()).done();
};

const operation = (o: OpenApiSchema): Uint8Array => {
  const m = message().strings(1, o.tags).string(5, o.operationId).strings(6, o.produces).strings(7, o.consumes);
  for (const p of Array.isArray(o.parameters) ? o.parameters : []) m.bytes(8, parameterItem(p as OpenApiSchema));
  const responses = message();
  for (const [code, r] of Object.entries((o.responses ?? {}) as Record<string, OpenApiSchema>)) {
    responses.bytes(1, message().string(1, code).bytes(2, response(r)).done());
  }
  return extensions(m.bytes(9, responses.done()), 13, o).done();
};

const VERBS: Record<string, number> = { get: 2, put: 3, post: 4, delete: 5, patch: 8 };
const pathItem = (item: Record<string, unknown>): Uint8Array => {
  const m = message();
  for (const [verb, field] of Object.entries(VERBS))
    if (item[verb]) m.bytes(field, operation(item[verb] as OpenApiSchema));
  for (const p of Array.isArray(item.parameters) ? item.parameters : []) m.bytes(9, parameterItem(p as OpenApiSchema));
  return m.done();
};

/** Encodes what createOpenApi().v2() returns. */
export const encodeSwagger = (document: {
  swagger: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, unknown>>;
  definitions: Record<string, OpenApiSchema>;
  parameters?: Record<string, OpenApiSchema>;
}): Uint8Array => {
  const info = message().string(1, document.info.title).string(2, document.info.version).done();
  const paths = message();
  for (const [path, item] of Object.entries(document.paths)) {
    paths.bytes(2, message().string(1, path).bytes(2, pathItem(item)).done());
  }
  const out = message()
    .string(1, document.swagger)
    .bytes(2, info)
    .bytes(8, paths.done())
    .bytes(9, namedSchemas(document.definitions));
  const shared = message();
  for (const [name, p] of Object.entries(document.parameters ?? {}))
    shared.bytes(1, message().string(1, name).bytes(2, parameter(p)).done());
  return (document.parameters ? out.bytes(10, shared.done()) : out).done();
};
