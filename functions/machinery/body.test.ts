import { describe, expect, it } from 'vitest';
import { parseBody } from './body.ts';

describe('parseBody', () => {
  it('reports duplicate keys with their path and keeps the last', () => {
    const body = parseBody('{"spec":{"x":1,"l":[{"a":1,"a":2}],"x":{"y":"a\\"b: {"}}}');
    expect(body.value).toEqual({ spec: { x: { y: 'a"b: {' }, l: [{ a: 2 }] } });
    expect(body.duplicates).toEqual(['duplicate field "spec.l[0].a"', 'duplicate field "spec.x"']);
  });
  it('is not misled by strings', () => {
    expect(parseBody('{"a":"x:1.5e3 \\\\","b\\"":":"}')).toEqual({
      value: { a: 'x:1.5e3 \\', 'b"': ':' },
      duplicates: [],
      oddNumbers: undefined,
    });
  });
  it.each([
    ['', 'unexpected end of JSON input'],
    ['{', 'unexpected end of JSON input'],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ['nope', "invalid character 'o' in literal null (expecting 'u')"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['[1 2]', "invalid character '2' after array element"],
    ['{} x', "invalid character 'x' after top-level value"],
    ['"\\x"', "invalid character 'x' in string escape code"],
  ])('says of %j what Go says', (text, why) => expect(() => parseBody(text)).toThrow(`json parse error: ${why}`));

  it('reads the first YAML document, with YAML 1.1 booleans and times as text', () => {
    const body = parseBody('a: yes\nb: 2001-01-01\nc: 1\nc: 2\n---\nz: 1\n', 'yaml');
    expect(body.value).toEqual({ a: true, b: '2001-01-01', c: 2 });
    expect(body.duplicates).toEqual(['line 4: key "c" already set in map']);
    expect(parseBody(new TextEncoder().encode('{"a": [1, 2]}'), 'yaml').value).toEqual({ a: [1, 2] });
    expect(() => parseBody('a: [', 'yaml')).toThrow('error converting YAML to JSON');
  });
});
