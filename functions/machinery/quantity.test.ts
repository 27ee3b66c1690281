import { describe, expect, it } from 'vitest';
import { scaledValue } from './intstr.ts';
import {
  addQuantity,
  canonicalAmount,
  canonicalQuantity,
  compareQuantity,
  formatQuantity,
  milliValue,
  parseQuantity,
  quantityError,
  quantityValue,
  subQuantity,
} from './quantity.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let state = seed;
const random = (n: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return state % n;
};

describe('quantities', () => {
  it.each([
    ['1000m', '1'],
    ['1.5Gi', '1536Mi'],
    ['0.5', '500m'],
    ['1024Mi', '1Gi'],
    ['0.1Ki', '102400m'],
    ['1e3', '1e3'],
    ['1e4', '10e3'],
    ['1000k', '1M'],
    ['12E', '12E'],
    ['0Gi', '0'],
    ['-1500m', '-1500m'],
    ['0.0000000001', '1n'],
    ['+2', '+2'],
    ['007', '007'],
    ['1.500', '1.500'],
    ['1.50', '1500m'],
    ['2.000', '2'],
    ['1025Ki', '1025Ki'],
    ['1536Ki', '1536Ki'],
    ['2048Ki', '2Mi'],
    [' 5 ', '5'],
    ['1E1', '10'],
    ['1000Ki', '1000Ki'],
  ])('%s is written %s', (text, canonical) => expect(canonicalQuantity(text)).toBe(canonical));

  it.each(['', 'x', '1x', '1.2.3', 'Mi', '1 Mi', '--1', '1e', '.'])('refuses %j', (text) => {
    expect(() => parseQuantity(text)).toThrow(quantityError);
  });

  it(`adds, subtracts and compares exactly (SEED=${seed})`, () => {
    const suffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi'];
    for (let i = 0; i < 2000; i++) {
      const [a, b] = [0, 0].map(() => `${random(10_000)}${suffixes[random(suffixes.length)]}`) as [string, string];
      const sum = addQuantity(a, b);
      expect(compareQuantity(subQuantity(sum, b), a)).toBe(0);
      expect(compareQuantity(formatQuantity(sum), sum)).toBe(0);
      expect(compareQuantity(canonicalQuantity(a), a)).toBe(0);
      expect(canonicalQuantity(canonicalQuantity(a))).toBe(canonicalQuantity(a));
      expect(compareQuantity(a, b)).toBe(-compareQuantity(b, a) + 0);
    }
  });

  it.each([
    ['0.0001', '1m'],
    ['100u', '1m'],
    ['1.1Gi', '1181116006400m'],
    ['-1500u', '-2m'],
    ['1500m', '1500m'],
    ['1e-4', '1e-3'],
  ])('%s of a resource is written %s', (text, canonical) => expect(canonicalAmount(text)).toBe(canonical));

  it('rounds values up', () => {
    expect([milliValue('1'), milliValue('1500u'), quantityValue('1Gi'), quantityValue('1m')]).toEqual([
      1000, 2, 1_073_741_824, 1,
    ]);
  });
});

describe('int-or-string', () => {
  it('scales percentages', () => {
    expect([scaledValue('25%', 10, 'up'), scaledValue('25%', 10, 'down'), scaledValue(7, 10, 'up')]).toEqual([3, 2, 7]);
    expect(() => scaledValue('x', 1, 'up')).toThrow(RangeError);
  });
});
