import { describe, expect, it } from 'vitest';
import { formatAddress, inRange, maskRange, parseAddress, parseRange } from './address.ts';

describe('addresses', () => {
  const canonical: [given: string, text: string | undefined][] = [
    ['1.2.3.4', '1.2.3.4'],
    ['01.2.3.4', undefined],
    ['1.2.3', undefined],
    ['256.1.1.1', undefined],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1::1', '2001:db8::1:0:0:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['fe80::1%', undefined],
    [':::', undefined],
    ['1::2::3', undefined],
    ['1:2:3:4:5:6:7', undefined],
    ['1:2:3:4:5:6:7:8:9', undefined],
    ['12345::', undefined],
  ];
  for (const [given, text] of canonical)
    it(given, () => {
      const address = parseAddress(given);
      expect(address && formatAddress(address)).toBe(text);
    });

  it('with leading zeros are read where stored objects may have them', () => {
    expect(parseAddress('010.0.0.1', true)?.value).toBe(0x0a000001n);
  });

  it('are in ranges of their family', () => {
    const range = parseRange('10.0.0.0/8');
    const [inside, outside, other] = ['10.9.8.7', '11.0.0.1', '::1'].map((text) => parseAddress(text));
    if (!range || !inside || !outside || !other) throw new Error('these are addresses');
    expect([inside, outside, other].map((one) => inRange(range, one))).toEqual([true, false, false]);
  });

  it('of ranges lose their host bits', () => {
    const range = parseRange('192.168.1.5/24');
    expect(range && formatAddress(maskRange(range).address)).toBe('192.168.1.0');
    for (const bad of ['1.2.3.4', '1.2.3.4/33', '::/129', '1.2.3.4/-1', '1.2.3.4/08', 'x/8'])
      expect(parseRange(bad), bad).toBeUndefined();
  });
});
