import type { Random } from './random.ts';

export type Headers = Record<string, string>;

const table = (media: string, version = 'v1') => `${media};as=Table;v=${version};g=meta.k8s.io`;
const partial = (media: string, list = '') => `${media};as=PartialObjectMetadata${list};v=v1;g=meta.k8s.io`;
const json = 'application/json';
const yaml = 'application/yaml';
const protobuf = 'application/vnd.kubernetes.protobuf';

const accepts: readonly string[] = [
  ...[
    yaml,
    yaml,
    protobuf,
    protobuf,
    `${protobuf},${json}`,
    '*/*',
    table(json),
    table(json),
    table(yaml),
    table(json, 'v1beta1'),
    table(protobuf),
  ],
  ...[
    partial(json),
    partial(protobuf),
    partial(json, 'List'),
    partial(protobuf, 'List'),
    partial(yaml, 'List'),
    `${protobuf};stream=watch`,
  ],
  ...[
    'application/*',
    'text/html',
    '',
    ';',
    ',',
    'a',
    `${json};q=x`,
    `${json};q=0`,
    `${json};as=Table`,
    `${json};as=Table;v=v9;g=x`,
    'x'.repeat(5000),
  ],
  ...[
    `${'a/b,'.repeat(1000)}${json}`,
    `${json};as=__proto__;v=v1;g=meta.k8s.io`,
    `${json}, */*;q=0.1`,
    `${'*/*;'.repeat(500)}`,
    'application/cbor',
  ],
];

const impersonations: readonly Headers[] = [
  { 'impersonate-user': 'jane' },
  { 'impersonate-user': 'system:serviceaccount:fuzz-0:default', 'impersonate-group': 'a, b' },
  { 'impersonate-user': 'system:node:n1', 'impersonate-group': 'system:nodes' },
  { 'impersonate-user': 'system:anonymous' },
  { 'impersonate-group': 'x' },
  { 'impersonate-uid': '1' },
  { 'impersonate-user': '__proto__', 'impersonate-extra-__proto__': 'x', 'impersonate-extra-%zz': 'y' },
  {
    'impersonate-user': 'a',
    'impersonate-extra-scopes': 'x',
    'impersonate-extra-%e4': '\u00e4',
    'impersonate-uid': 'u',
  },
  { 'impersonate-user': 'system:serviceaccount:x', 'impersonate-extra-': '1' },
  { 'impersonate-user': '' },
];

const others: readonly Headers[] = [
  { 'accept-encoding': 'gzip' },
  { 'accept-encoding': 'br, gzip;q=0, *' },
  { 'if-none-match': '"x"' },
  { 'if-none-match': '*' },
  { 'if-match': '*' },
  { 'if-modified-since': 'x' },
  { 'content-encoding': 'gzip' },
  { 'content-encoding': 'x' },
  { 'user-agent': '' },
  { 'user-agent': 'x'.repeat(2000) },
  { 'user-agent': '/' },
  { 'user-agent': '__proto__/1' },
  { 'user-agent': 'Mozilla/5.0' },
  { range: 'bytes=0-1' },
  { origin: 'https://evil.example' },
  { 'x-forwarded-for': '1.2.3.4' },
  { 'x-http-method-override': 'DELETE' },
  { 'x-remote-user': 'root', 'x-remote-group': 'system:masters' },
  { 'kubectl-command': 'x' },
  { 'audit-id': 'x' },
  { traceparent: '00-x' },
  { __proto__x: '1' },
  { expect: '200-ok' },
];

const credentials: readonly string[] = [
  '',
  'Bearer',
  'Bearer ',
  'Bearer x',
  'Basic YTpi',
  'bearer a.b.c',
  'Bearer eyJhbGciOiJub25lIn0.e30.',
  'x',
];

/** Headers of a request, without those of its body. */
export const headersOf = (random: Random, token: string): Headers => {
  const headers: Headers = {
    authorization: `Bearer ${token}`,
    'user-agent': random.chance(0.8) ? 'fuzz/1' : 'other/2',
  };
  if (random.chance(0.01)) {
    const value = random.pick(credentials);
    if (value === '') delete headers.authorization;
    else headers.authorization = value;
  }
  if (random.chance(0.12)) headers.accept = random.pick(accepts);
  if (random.chance(0.02)) Object.assign(headers, random.pick(impersonations));
  if (random.chance(0.05)) Object.assign(headers, random.pick(others));
  return headers;
};
