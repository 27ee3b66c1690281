import { describe, expect, it } from 'vitest';
import { parseRequestUri } from './go-url.ts';

describe("URLs as Go reads a request's", () => {
  it('have parts', () => {
    expect(parseRequestUri('https://user:pw@example.com:8080/a%20b/ü?x=1&y')).toMatchObject({
      scheme: 'https',
      host: 'example.com:8080',
      hostname: 'example.com',
      port: '8080',
      escapedPath: '/a%20b/%C3%BC',
      rawQuery: 'x=1&y',
    });
    expect(parseRequestUri('http://[::1]:80/')).toMatchObject({ host: '[::1]:80', hostname: '::1', port: '80' });
    expect(parseRequestUri('/abs?q')).toMatchObject({ scheme: '', host: '', escapedPath: '/abs', rawQuery: 'q' });
  });

  for (const bad of [
    '',
    'rel/path',
    '../x',
    ':x',
    'http://a b',
    'http://a/%zz',
    'http://[::1',
    'http://a:port/',
    '\u0000',
  ])
    it(`are not ${JSON.stringify(bad)}`, () => expect(parseRequestUri(bad)).toBeUndefined());
});
