import { describe, expect, it } from 'vitest';
import { parseJsonPath } from './json-path.ts';

const root = {
  spec: {
    a: 'x',
    list: [1, 2, 3],
    'dotted.key': 'd',
    items: [
      { n: 'p', v: 1 },
      { n: 'q', v: 2, ready: true },
    ],
    none: null,
  },
};
const cases: [string, unknown[]][] = [
  ['.spec.a', ['x']],
  ['.spec.missing.deeper', []],
  ['.spec.none', [null]],
  ['.spec.list', [[1, 2, 3]]],
  ['.spec.list[0]', [1]],
  ['.spec.list[-1]', [3]],
  ['.spec.list[0:2]', [1, 2]],
  ['.spec.list[::2]', [1, 3]],
  ['.spec.list[*]', [1, 2, 3]],
  ['.spec.list[0,2]', [1, 3]],
  [".spec['a']", ['x']],
  ['.spec.dotted\\.key', ['d']],
  ['.spec.items[*].n', ['p', 'q']],
  ['.spec.items[?(@.n=="q")].v', [2]],
  ["$.spec.items[?(@.n=='q')].v", [2]],
  ['.spec.items[?(@.v>1)].n', ['q']],
  ['.spec.items[?(@.ready)].n', ['q']],
  ['.spec.items[?(@.n=="none")].v', []],
  ['..n', ['p', 'q']],
];

describe('JSON paths', () => {
  for (const [path, expected] of cases)
    it(path, () => {
      expect(parseJsonPath(path)(root)).toEqual(expected);
    });
  it('fail on an index out of bounds, an array that is none, and a malformed path', () => {
    expect(() => parseJsonPath('.spec.list[7]')(root)).toThrow('out of bounds');
    expect(() => parseJsonPath('.spec.a[0]')(root)).toThrow('not an array');
    expect(() => parseJsonPath('.spec.list[x]')).toThrow('invalid array index');
    expect(() => parseJsonPath('.spec.list[0')).toThrow('unterminated');
    expect(() => parseJsonPath('.spec.items[?(@.n=="q"]')).toThrow('unterminated filter');
  });
});
