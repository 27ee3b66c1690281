import { gzipSync } from 'node:zlib';
import { stringify } from 'yaml';
import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import { encodeProtobuf } from '../../functions/machinery/protobuf/codec.ts';
import { deepMark } from './mutate.ts';
import type { Random } from './random.ts';
import { nastyKeys, rawNumbers } from './values.ts';

export interface Body {
  contentType: string | undefined;
  bytes: Buffer;
}

const deep = (random: Random): string => {
  const depth = random.pick([20, 200, 9_000, 11_000, 100_000, 400_000]);
  if (random.chance(0.5)) return '['.repeat(depth) + ']'.repeat(depth);
  return `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
};

/** Changes that cannot be made to a value: numbers as JSON.stringify never writes them, keys twice, deep nesting. */
const mutateText = (random: Random, given: string): string => {
  let text = given;
  if (text.length > 1_000_000) return text;
  if (random.chance(0.3)) {
    const numbers = [...text.matchAll(/[:[,](-?\d+(?:\.\d+)?)(?=[,}\]])/g)];
    const hit = numbers.length > 0 ? random.pick(numbers) : undefined;
    if (hit) text = text.slice(0, hit.index + 1) + random.pick(rawNumbers) + text.slice(hit.index + hit[0].length);
  }
  if (random.chance(0.2)) {
    const keys = [...text.matchAll(/[{,]("[^"\\]{1,60}":)/g)];
    const hit = keys.length > 0 ? random.pick(keys) : undefined;
    if (hit) {
      const at = hit.index + 1;
      text = `${text.slice(0, at)}${hit[1]}${random.pick(['null', '1', '{}', '[]', '"x"', '[{}]'])},${text.slice(at)}`;
    }
  }
  if (random.chance(0.1)) {
    const at = text.indexOf('{') + 1;
    const key = JSON.stringify(random.pick(nastyKeys));
    text = `${text.slice(0, at)}${key}:1,${text.slice(at)}`;
  }
  return text;
};

export const writeJson = (random: Random, value: Json, mutated: boolean): string => {
  let text = JSON.stringify(value) ?? 'null';
  while (text.includes(`"${deepMark}"`)) text = text.replace(`"${deepMark}"`, () => deep(random));
  return mutated ? mutateText(random, text) : text;
};

/** Changes that only bytes can show: cut off, flipped, invalid UTF-8, a byte order mark. */
export const mutateBytes = (random: Random, given: Buffer): Buffer => {
  const bytes = Buffer.from(given);
  const at = random.int(bytes.length + 1);
  const of = random.int(8);
  if (of === 0) return bytes.subarray(0, at);
  if (of === 1) return Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff, 0xc0, 0x80]), bytes.subarray(at)]);
  if (of === 2) return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]);
  if (of === 3) return Buffer.concat([bytes, bytes]);
  if (of === 4) return Buffer.from(bytes.toString('latin1').slice(0, 100_000), 'utf16le');
  if (of === 5) return gzipSync(bytes);
  for (let i = random.int(6); i >= 0 && bytes.length > 0; i--) bytes[random.int(bytes.length)] = random.int(256);
  return bytes;
};

const yamlOddities: readonly string[] = [
  'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n',
  '&a [*a]\n',
  'a: &a {b: *a}\n',
  '<<: *x\n',
  'x: &x {a: 1}\ny: {<<: *x, <<: [*x, *x]}\n',
  '? [a, b]\n: c\n',
  '? {a: b}\n: c\n',
  '!!js/function "function(){}"\n',
  '!!python/object:os.system x\n',
  '!!binary "a"\n',
  '!!set {a, b}\n',
  '--- a\n--- b\n',
  '%YAML 9.9\n---\na: 1\n',
  'a: b: c\n',
  '\ta: 1\n',
  '- - - - - -\n',
  '{'.repeat(5000),
  `${'- '.repeat(5000)}a\n`,
  `a: ${'['.repeat(3000)}${']'.repeat(3000)}\n`,
  'a: .inf\nb: .nan\nc: -.inf\nd: 0o17\ne: 0x1F\nf: 1_000\ng: 190:20:30\nh: ~\ni: yes\n',
  'null: 1\ntrue: 2\n1: 3\n1.5: 4\n',
  '',
  '---\n',
  '# only a comment\n',
  '"\\ud800"\n',
  'a: "\\x00"\n',
  'a: |\n b\n  c\n d\n\n\ne: >-\n f\n',
];

const yamlBody = (random: Random, value: Json): Buffer => {
  if (random.chance(0.1)) return Buffer.from(random.pick(yamlOddities));
  const text = stringify(value, { aliasDuplicateObjects: random.chance(0.5) });
  if (random.chance(0.05)) return Buffer.from(text + random.pick(yamlOddities));
  return Buffer.from(random.chance(0.3) ? JSON.stringify(value) : text);
};

/** Messages inside messages: an envelope whose bytes are fields of length-delimited fields, very deep. */
const deepProtobuf = (random: Random): Buffer => {
  let inner = Buffer.from([10, 0]);
  for (let depth = random.pick([50, 500, 3000]); depth > 0 && inner.length < 60_000; depth--) {
    const length = [];
    let n = inner.length;
    for (; n > 127; n >>>= 7) length.push((n & 127) | 128);
    length.push(n);
    inner = Buffer.concat([Buffer.from([random.chance(0.5) ? 10 : 18, ...length]), inner]);
  }
  return Buffer.concat([Buffer.from('k8s\0'), inner]);
};

const protobufBody = (random: Random, value: Json): Buffer => {
  if (random.chance(0.03)) return deepProtobuf(random);
  try {
    const bytes = encodeProtobuf(value as JsonObject);
    if (bytes) return bytes;
  } catch {
    // What cannot be written as protobuf goes as JSON, under protobuf's name.
  }
  return Buffer.from(JSON.stringify(value));
};

const wrongTypes: readonly (string | undefined)[] = [
  ...[
    undefined,
    '',
    'text/plain',
    'application/xml',
    'application/json;charset=utf-16',
    'application/json; charset=',
    'json',
    ';',
  ],
  ...[
    'application/JSON',
    'application/json,application/yaml',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
  ],
  ...[
    'application/strategic-merge-patch+json',
    'application/apply-patch+cbor',
    'application/cbor',
    'application/vnd.kubernetes.protobuf;stream=watch',
  ],
];

/** A value as bytes of a type, both bent now and then. */
export const encodeBody = (random: Random, value: Json, contentType: string, bend: number): Body => {
  const yaml = contentType.endsWith('yaml');
  let bytes: Buffer;
  if (contentType.endsWith('protobuf')) bytes = protobufBody(random, value);
  else if (yaml && random.chance(0.6) && JSON.stringify(value).length < 50_000) bytes = yamlBody(random, value);
  else bytes = Buffer.from(writeJson(random, value, random.chance(bend)));
  if (random.chance(bend * 0.15)) bytes = mutateBytes(random, bytes);
  return { contentType: random.chance(0.03) ? random.pick(wrongTypes) : contentType, bytes };
};
