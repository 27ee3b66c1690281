import { decode } from '../decode.ts';
import { schemaOf } from '../facts.ts';
import type { Json, JsonObject } from '../object.ts';
import { badRequest } from '../status.ts';
import type { Codec } from './messages.ts';
import * as wire from './wire.ts';

/** Types whose JSON is not the message that protobuf has for them. */

type Find = (type: string) => Codec;

const meta = 'k8s.io.apimachinery.pkg.apis.meta.v1';
const extensions = /^k8s\.io\.apiextensions_apiserver\.pkg\.apis\.apiextensions\.v1(beta1)?\./;

const message = (write: (value: Json) => void, read: (c: wire.Cursor) => Json): Codec => ({
  wire: 2,
  write: (value) => {
    const start = wire.openLength();
    write(value);
    wire.closeLength(start);
  },
  read: (c) => {
    const end = wire.readEnd(c);
    const value = read({ bytes: c.bytes, at: c.at, end });
    c.at = end;
    return value;
  },
});

/** Calls `each` with every field number; what it does not read (returns false) is skipped. */
const eachField = (c: wire.Cursor, each: (number: number) => boolean): void => {
  while (c.at < c.end) {
    const tag = wire.readVarint(c);
    if (!each(Math.floor(tag / 8))) wire.skipValue(c, tag % 8);
  }
};

const fractionOf = (text: string): number => {
  const digits = /\.(\d+)/.exec(text)?.[1];
  return digits ? Number(digits.padEnd(9, '0').slice(0, 9)) : 0;
};

/** RFC 3339 <-> seconds and nanoseconds. Go's zero time is an empty message and no value in JSON. */
const time = (micro: boolean): Codec =>
  message(
    (value) => {
      const text = String(value);
      const seconds = Math.floor(Date.parse(text) / 1000);
      if (Number.isNaN(seconds)) throw badRequest(`${JSON.stringify(text)} is no time`);
      wire.writeVarint(8);
      wire.writeVarint(seconds);
      wire.writeVarint(16);
      wire.writeVarint(fractionOf(text));
    },
    (c) => {
      if (c.at === c.end) return null;
      let seconds = 0;
      let nanos = 0;
      eachField(c, (n) => {
        if (n === 1) seconds = wire.readVarint(c);
        else if (n === 2) nanos = wire.readVarint(c);
        else return false;
        return true;
      });
      const date = new Date(seconds * 1000);
      if (Number.isNaN(date.getTime())) throw wire.brokenMessage();
      const text = date.toISOString().slice(0, 19);
      return micro ? `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z` : `${text}Z`;
    },
  );

/** A message of one string: Quantity. */
const wrappedString = message(
  (value) => {
    wire.writeVarint(10);
    wire.writeString(String(value));
  },
  (c) => {
    let text = '';
    eachField(c, (n) => {
      if (n === 1) text = wire.readString(c);
      return n === 1;
    });
    return text || '0';
  },
);

const intOrString = message(
  (value) => {
    const text = typeof value === 'string';
    wire.writeVarint(8);
    wire.writeVarint(text ? 1 : 0);
    wire.writeVarint(16);
    wire.writeVarint(text ? 0 : Number(value));
    wire.writeVarint(26);
    wire.writeString(text ? value : '');
  },
  (c) => {
    let type = 0;
    let number = 0;
    let text = '';
    eachField(c, (n) => {
      if (n === 1) type = wire.readVarint(c);
      else if (n === 2) number = wire.readVarint(c);
      else if (n === 3) text = wire.readString(c);
      else return false;
      return true;
    });
    return type === 1 ? text : number;
  },
);

/** JSON as Go's encoder writes it: clients compare such bytes with their own. */
const goJson = (value: Json): string =>
  JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** A message of bytes that are JSON: RawExtension, FieldsV1, JSON. */
const rawJson = message(
  (value) => {
    wire.writeVarint(10);
    wire.writeString(goJson(value));
  },
  (c) => {
    let value: Json = null;
    eachField(c, (n) => {
      if (n !== 1) return false;
      const text = wire.readString(c);
      try {
        value = text ? (JSON.parse(text) as Json) : null;
      } catch {
        throw badRequest('bytes of a raw value are no JSON');
      }
      return true;
    });
    return value;
  },
);

/** A message of one repeated string that is a plain list in JSON: Verbs, ExtraValue. */
const stringList = message(
  (value) => {
    for (const item of value as Json[]) {
      wire.writeVarint(10);
      wire.writeString(String(item));
    }
  },
  (c) => {
    const list: Json[] = [];
    eachField(c, (n) => {
      if (n === 1) list.push(wire.readString(c));
      return n === 1;
    });
    return list;
  },
);

/** Go writes a schema's empty fields too: what the type itself drops when decoded is dropped here, below `any`. */
const withoutEmpty = (schema: Json): JsonObject => decode(schemaOf('+apiextensions.v1.JSONSchemaProps'), schema).value;

/** JSONSchemaPropsOrArray, OrBool and OrStringArray: a schema, or something else. */
const schemaOr = (kind: 'Array' | 'Bool' | 'StringArray', find: Find): Codec => {
  const schema = (): Codec => find('JSONSchemaProps');
  const put = (number: number, codec: Codec, value: Json): void => {
    wire.writeVarint(number * 8 + codec.wire);
    codec.write(value);
  };
  const schemaField = kind === 'Bool' ? 2 : 1;
  return message(
    (value) => {
      if (kind === 'Bool') put(1, find('bool'), value !== false);
      if (Array.isArray(value)) for (const item of value) put(2, kind === 'Array' ? schema() : find('string'), item);
      else if (typeof value === 'object') put(schemaField, schema(), value);
    },
    (c) => {
      let object: JsonObject | undefined;
      let allows = false;
      const list: Json[] = [];
      eachField(c, (n) => {
        if (n === schemaField) object = withoutEmpty(schema().read(c));
        else if (n === 1) allows = wire.readVarint(c) !== 0;
        else if (n === 2) list.push(kind === 'Array' ? withoutEmpty(schema().read(c)) : wire.readString(c));
        else return false;
        return true;
      });
      return object ?? (kind === 'Bool' ? allows : list);
    },
  );
};

const fixed: Record<string, Codec> = {
  [`${meta}.Time`]: time(false),
  [`${meta}.MicroTime`]: time(true),
  [`${meta}.FieldsV1`]: rawJson,
  [`${meta}.Verbs`]: stringList,
  'k8s.io.apimachinery.pkg.api.resource.Quantity': wrappedString,
  'k8s.io.apimachinery.pkg.api.resource.QuantityValue': wrappedString,
  'k8s.io.apimachinery.pkg.util.intstr.IntOrString': intOrString,
  'k8s.io.apimachinery.pkg.runtime.RawExtension': rawJson,
};

/** The codec of a type with a JSON form of its own; `find` gives that of a type named in its package. */
export const specialCodec = (name: string, find: Find): Codec | undefined => {
  const known = fixed[name];
  if (known) return known;
  if (name.endsWith('.ExtraValue')) return stringList;
  if (!extensions.test(name)) return undefined;
  if (name.endsWith('.JSON')) return rawJson;
  const or = /\.JSONSchemaPropsOr(Array|Bool|StringArray)$/.exec(name)?.[1];
  return or === undefined ? undefined : schemaOr(or as 'Array' | 'Bool' | 'StringArray', find);
};
