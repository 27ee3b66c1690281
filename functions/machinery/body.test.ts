import { describe, expect, it } from 'vitest';
import { parseBody } from './body.ts';

describe('parseBody', () => {
  it('reports duplicate keys with their path and keeps the last', () => {
    const body = parseBody('{"spec":{"x":1,"l":[{"a":1,"a":2}],"x":{"y":"a\\"b: {"}}}');
    expect(body.value).toEqual({ spec: { x: { y: 'a"b: {' }, l: [{ a: 2 }] } });
    expect(body.duplicates).toEqual(['duplicate field "spec.l[0].a"', 'duplicate field "spec.x"']);
  });
  it.each([
    ['a: &a {b: *a}', "anchor 'a' value contains itself"],
    ['- &a [*a]', "anchor 'a' value contains itself"],
    ['{"a":"\\ud83d"}', 'found invalid Unicode character escape code'],
    ['a: "\\ud83d\\ude00"', 'found invalid Unicode character escape code'],
  ])('refuses the YAML %j', (text, sentence) => expect(() => parseBody(text, 'yaml')).toThrow(sentence));
  it('takes in YAML an alias after its anchor, and a backslash that is one', () => {
    expect(parseBody('a: &a [1]\nb: *a', 'yaml').value).toEqual({ a: [1], b: [1] });
    expect(parseBody("a: '\\ud83d'", 'yaml').value).toEqual({ a: '\\ud83d' });
    expect(parseBody('{"a":"\\\\ud83d"}', 'yaml').value).toEqual({ a: '\\ud83d' });
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

  it.each([
    ['[', ']'],
    ['{"a":', '}'],
  ])('refuses %j nested too deeply, whole and cut off', (open, close) => {
    for (const depth of [1001, 9000, 100_000]) {
      const text = `${open.repeat(depth)}1${close.repeat(depth)}`;
      expect(() => parseBody(text)).toThrow('exceeded max depth');
      expect(() => parseBody(text.slice(0, -1))).toThrow('exceeded max depth');
    }
    expect(() => parseBody(`${open.repeat(1000)}1${close.repeat(1000)}`)).not.toThrow();
  });

  it('replaces halves of surrogate pairs, as Go does', () => {
    const text = String.raw`{"\ud800":"a\uDC00b","pair":"\ud83d\ude00","half":"\ud83d\ud83d\ude00","text":"\\ud800"}`;
    const value = { '\ufffd': 'a\ufffdb', pair: '\u{1f600}', half: '\ufffd\u{1f600}', text: '\\ud800' };
    expect(parseBody(text).value).toEqual(value);
  });

  it('reads the first YAML document, with YAML 1.1 booleans and times as text', () => {
    const body = parseBody('a: yes\nb: 2001-01-01\nc: 1\nc: 2\n---\nz: 1\n', 'yaml');
    expect(body.value).toEqual({ a: true, b: '2001-01-01', c: 2 });
    expect(body.duplicates).toEqual(['line 4: key "c" already set in map']);
    expect(parseBody(new TextEncoder().encode('{"a": [1, 2]}'), 'yaml').value).toEqual({ a: [1, 2] });
    expect(() => parseBody('a: [', 'yaml')).toThrow('error converting YAML to JSON');
  });
});
