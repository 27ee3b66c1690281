import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import type { Random } from './random.ts';

/** Texts that a careless parser, regular expression, map or path stumbles over. */
export const nastyTexts: readonly string[] = [
  ...[
    '',
    ' ',
    '.',
    '..',
    '/',
    'a/b',
    '%2F',
    '%',
    '%zz',
    '*',
    '~',
    '~1',
    '~0',
    '-',
    '--',
    '-1',
    '01',
    '0',
    '1',
    ',',
    '=',
    '!',
  ],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'then', 'length'],
  ...[
    '\u0000',
    'a\u0000b',
    '\ud800',
    '\udc00x',
    'x\ud83d',
    'é',
    '𝒳',
    '\u2028',
    '\ufeff',
    '\u202e',
    '\n',
    'a\nb',
    '\t',
    '"',
    '\\',
    "'",
  ],
  ...[
    'NaN',
    'Infinity',
    '-Infinity',
    '1e400',
    '1e-400',
    '1e1000000',
    '0x10',
    '1Gi',
    '1.5Gi',
    '-5m',
    '10m',
    '1n',
    '1E',
    '1Ei',
    '.5',
    '5.',
  ],
  ...[
    '9'.repeat(400),
    `${'9'.repeat(40)}Gi`,
    `0.${'0'.repeat(300)}1`,
    '999999999999999999999999Ei',
    '1e',
    '+1',
    '1_000',
  ],
  ...[
    '2026-01-01T00:00:00Z',
    '9999-99-99T99:99:99Z',
    '0000-01-01T00:00:00Z',
    '2026-01-01',
    '1e9',
    '99999-01-01T00:00:00Z',
  ],
  ...[
    '1h',
    '-1h',
    '1h1',
    '9999999999999h',
    '1.2.3.4',
    '1.2.3.4/33',
    '1.2.3.4/24',
    '::1',
    '::/0',
    'fe80::1%eth0',
    '256.1.1.1',
    '1.2.3',
  ],
  ...[
    'a=b',
    'a in (b,c)',
    'a in (',
    'a!=b,!c',
    '!',
    'a>5',
    'a>b',
    '=,=',
    'metadata.name=x',
    'spec.nodeName=',
    'a notin ()',
    'a==b==c',
  ],
  ...[
    '* * * * *',
    '@every 1s',
    '0 0 31 2 *',
    '*/0 * * * *',
    '60 24 32 13 8',
    '1-0 * * * *',
    '@reboot',
    'TZ=UTC * * * * *',
  ],
  ...[
    '(a+)+$',
    '[',
    '(?<x>',
    '\\',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '{.spec',
    '{.a[*]}',
    '.spec..x',
    '$.a',
    '{range',
    '[?(@.a==1)]',
  ],
  ...[
    'self.x > 1',
    'self.matches("(a+)+$")',
    'self',
    '1/0',
    'has(self.a)',
    'object.metadata.name == "x"',
    'self.all(x, self.all(y, true))',
  ],
  ...[
    'true',
    'false',
    'null',
    '====',
    'YQ==',
    'YQ',
    '$(HOME)',
    '$(X',
    'http://',
    'https://127.0.0.1:1/',
    'ftp://x',
    'a:b:c',
    'a@b',
    'v1',
    'apps/v1',
  ],
  ...[
    'a/b/c',
    'kubernetes.io/x',
    'x'.repeat(63),
    'x'.repeat(64),
    'x'.repeat(253),
    'x'.repeat(254),
    'x'.repeat(5000),
    `${'a.'.repeat(130)}a`,
  ],
  ...[
    `${'a'.repeat(60)}!`,
    `${'-'.repeat(5000)}a`,
    `${'a-'.repeat(3000)}`,
    `${'1.'.repeat(3000)}`,
    ' '.repeat(5000),
    `${'/'.repeat(2000)}`,
  ],
];

const nastyNumbers: readonly number[] = [
  ...[0, 1, -1, 2, 3, 10, 80, 100, 1.5, -0.5, 255, 256, 65535, 65536, 1000000, 86400000],
  ...[2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 2 ** 63, 1e21, 1e308, 5e-324],
];

/** Number tokens that JSON.stringify never writes; put into the text in the place of others. */
export const rawNumbers: readonly string[] = [
  ...[
    '-0',
    '1e400',
    '-1e400',
    '1e3',
    '3.0',
    '1.0e0',
    '1E+2',
    '9223372036854775807',
    '9223372036854775808',
    '-9223372036854775809',
  ],
  ...[
    'NaN',
    'Infinity',
    '-',
    '00',
    '01',
    '.5',
    '5.',
    '1e',
    '0x1',
    '+1',
    '1e-400',
    '9'.repeat(500),
    `0.${'1'.repeat(500)}`,
    '1e99999999999',
  ],
];

/** Names of which a good part is allowed, so that requests meet each other's objects. */
export const nameOf = (random: Random, lane: number): string =>
  random.chance(0.93) ? `n${random.int(2)}-l${lane}` : random.pick(nastyTexts);

export const nastyKeys: readonly string[] = [
  ...[
    '__proto__',
    'constructor',
    'toString',
    'prototype',
    'hasOwnProperty',
    '',
    'a',
    'x/y',
    'a.b',
    'f:a',
    'k:{"name":"a"}',
    'v:1',
    '.',
  ],
  ...[
    '$patch',
    '$retainKeys',
    '$deleteFromPrimitiveList/finalizers',
    '$setElementOrder/containers',
    'metadata',
    'spec',
    'status',
    'kind',
  ],
  ...['\ud800', '\u0000', 'A B', 'x'.repeat(300), '0', '-1', '4294967295', 'app', 'kubernetes.io/os'],
];

export const scalar = (random: Random): Json => {
  const of = random.int(10);
  if (of < 5) return random.pick(nastyTexts);
  if (of < 8) return random.pick(nastyNumbers);
  return of === 8 ? random.chance(0.5) : null;
};

/** Assignment that is safe for the one key with a meaning in JavaScript. */
export const put = (target: JsonObject, key: string, value: Json): void => {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
};

/** A small value of any shape. */
export const anything = (random: Random, depth = 0): Json => {
  const of = random.int(depth > 3 ? 6 : 10);
  if (of < 6) return scalar(random);
  if (of < 8) return Array.from({ length: random.int(4) }, () => anything(random, depth + 1));
  const object: JsonObject = {};
  for (let i = random.int(4); i > 0; i--) put(object, random.pick(nastyKeys), anything(random, depth + 1));
  return object;
};
