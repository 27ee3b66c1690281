import { describe, expect, it } from 'vitest';
import { warningHeaders } from './warnings.ts';

describe('warning headers', () => {
  it('quote their text, in UTF-8', () => {
    expect(warningHeaders(['a "b" \\c'])).toEqual(['299 - "a \\"b\\" \\\\c"']);
    expect(Buffer.from(warningHeaders(['é'])[0] ?? '', 'latin1').toString()).toBe('299 - "é"');
  });
  it('leave out texts that no header can hold', () => {
    expect(warningHeaders(['', 'a\nb', 'a\u0000', 'c'])).toEqual(['299 - "c"']);
  });
  it('are whole up to 4,096 characters in all', () => {
    const texts = ['x'.repeat(4000), 'y'.repeat(96)];
    expect(warningHeaders(texts).map((one) => one.length)).toEqual([4008, 104]);
  });
  it('are cut at 256 past that, and end at the bound', () => {
    const cut = warningHeaders(['x'.repeat(4000), 'y'.repeat(97), 'é'.repeat(300)]);
    expect(cut.map((one) => Buffer.from(one, 'latin1').toString().length)).toEqual([264, 105, 264]);
    expect(warningHeaders(Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(300, 'x')))).toHaveLength(16);
    const few = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(100, 'x'));
    expect(warningHeaders(few)).toHaveLength(41);
  });
});
