import { expect, it } from 'vitest';
import { type Operation, unexplained } from './linearizable.ts';
import { seeded } from './store-operations.ts';

const read = (start: number, end: number, value: string): Operation => ({
  start,
  end,
  fits: (state) => state === value,
  text: `read ${value}`,
});
const swap = (start: number, end: number, expected: string, next: string): Operation => ({
  start,
  end,
  fits: (state) => state === expected,
  next,
  text: `${expected} -> ${next}`,
});

it('accepts what some order explains', () => {
  expect(unexplained([swap(0, 10, '', 'a'), read(1, 2, ''), read(3, 4, 'a'), read(5, 6, 'a')], '')).toBeUndefined();
  expect(unexplained([swap(0, Number.POSITIVE_INFINITY, '', 'a'), read(1, 2, '')], '')).toBeUndefined();
  expect(unexplained([swap(0, Number.POSITIVE_INFINITY, '', 'a'), read(50, 60, 'a')], '')).toBeUndefined();
  expect(unexplained([swap(0, 9, 'a', 'b'), swap(1, 8, '', 'a'), read(2, 7, 'b')], '')).toBeUndefined();
});

it('refuses a stale read, a lost write, a value from nowhere, and two winners', () => {
  const made = swap(0, 1, '', 'a');
  expect(unexplained([made, read(2, 3, '')], '')?.text).toBe('read ');
  expect(unexplained([swap(0, 9, '', 'a'), read(1, 2, 'a'), read(3, 4, '')], '')?.text).toBe('read ');
  expect(unexplained([read(0, 1, 'x')], '')?.text).toBe('read x');
  expect(unexplained([made, swap(2, 5, 'a', 'b'), swap(2, 5, 'a', 'c')], '')).toBeDefined();
});

/** Every order, tried. */
const bruteForce = (left: readonly Operation[], state: string): boolean => {
  if (left.every(({ end }) => end === Number.POSITIVE_INFINITY)) return true;
  const earliest = Math.min(...left.map(({ end }) => end));
  return left.some(
    (operation) =>
      operation.start <= earliest &&
      operation.fits(state) &&
      bruteForce(
        left.filter((other) => other !== operation),
        operation.next ?? state,
      ),
  );
};

it('agrees with trying every order, on 3,000 small random histories', () => {
  const random = seeded(7);
  const pick = (n: number) => Math.floor(random() * n);
  let accepted = 0;
  for (let i = 0; i < 3000; i++) {
    const history = Array.from({ length: 5 }, () => {
      const start = pick(20);
      const end = random() < 0.1 ? Number.POSITIVE_INFINITY : start + 1 + pick(8);
      const [a, b] = [`${pick(2)}`, `${pick(2)}`];
      return random() < 0.5 ? read(start, end, a) : swap(start, end, a, b);
    });
    const wanted = bruteForce(history, '0');
    if (wanted) accepted++;
    expect(unexplained(history, '0') === undefined, history.map(({ text }) => text).join()).toBe(wanted);
  }
  expect(accepted).toBeGreaterThan(100);
  expect(accepted).toBeLessThan(2700);
});
