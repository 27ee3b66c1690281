import { describe, expect, it } from 'vitest';
import { bearerToken, otherProtocols, protocolToken } from './credentials.ts';

describe('bearerToken', () => {
  it.each([
    [null, undefined],
    ['', undefined],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Bearer a', 'a'],
    ['bearer a', 'a'],
    ['BEARER a', 'a'],
    ['  Bearer a  ', 'a'],
    // Two blanks: what stands between them is no token.
    ['Bearer  a', undefined],
    ['Bearer a b', 'a'],
    ['Bearer\ta', undefined],
    ['Basic YTpi', undefined],
    ['Bearera', undefined],
    ['a.b.c', undefined],
  ])('%j is the token %j', (header, token) => {
    expect(bearerToken(header)).toBe(token);
  });
});

describe('protocolToken', () => {
  const prefix = 'base64url.bearer.authorization.k8s.io.';
  const encoded = `${prefix}${Buffer.from('a token').toString('base64url')}`;
  it.each([
    [undefined, undefined],
    ['v5.channel.k8s.io', undefined],
    [`${encoded}, v5.channel.k8s.io`, { token: 'a token' }],
    [`v5.channel.k8s.io,${encoded}`, { token: 'a token' }],
    [encoded, { fault: 'missing additional subprotocol' }],
    [`${encoded}, `, { fault: 'missing additional subprotocol' }],
    [`${encoded}, ${encoded}, x`, { fault: 'multiple base64.bearer.authorization tokens specified' }],
    [`${prefix}, x`, undefined],
    [`${prefix}YQ==, x`, { fault: 'invalid base64.bearer.authorization token encoding' }],
    [`${prefix}a+b, x`, { fault: 'invalid base64.bearer.authorization token encoding' }],
    [`${prefix}${Buffer.from([0xff, 0xfe]).toString('base64url')}, x`, { fault: expect.any(String) }],
  ])('%j brings %j', (protocols, token) => {
    expect(protocolToken(protocols)).toEqual(token);
  });

  it('is not passed on', () => {
    expect(otherProtocols(`${encoded}, v5.channel.k8s.io, x`)).toEqual(['v5.channel.k8s.io', 'x']);
    expect(otherProtocols(encoded)).toEqual([]);
  });
});
