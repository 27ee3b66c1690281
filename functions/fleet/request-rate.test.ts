import { expect, it } from 'vitest';
import { createRequestRate } from './request-rate.ts';

const timed = () => {
  const clock = { at: 0, now: () => clock.at };
  return { clock, rate: createRequestRate(clock) };
};

it('gives what two seconds bring at once, then as many as come in', () => {
  const { clock, rate } = timed();
  const taken = () => {
    let count = 0;
    while (rate.take('a', 10) === undefined) count++;
    return count;
  };
  expect(taken()).toBe(20);
  clock.at += 500;
  expect(taken()).toBe(5);
  clock.at += 60_000;
  expect(taken()).toBe(20);
});

it('says how long to wait, and keeps clusters apart', () => {
  const { clock, rate } = timed();
  expect(rate.take('a', 1)).toBeUndefined();
  expect(rate.take('a', 1)).toBeUndefined();
  expect(rate.take('a', 1)).toBe(1);
  expect(rate.take('b', 1)).toBeUndefined();
  clock.at += 1000;
  expect(rate.take('a', 1)).toBeUndefined();
});

it('takes a new limit at once, and is not put off by a clock that goes back', () => {
  const { clock, rate } = timed();
  rate.take('a', 100);
  for (let i = 0; i < 2; i++) expect(rate.take('a', 1)).toBeUndefined();
  expect(rate.take('a', 1)).toBe(1);
  clock.at -= 10_000;
  expect(rate.take('a', 1)).toBe(1);
});

it('remembers only clusters that asked lately', () => {
  const { clock, rate } = timed();
  for (let i = 0; i < 500; i++) rate.take(`c${i}`, 5);
  expect(rate.size).toBe(500);
  clock.at += 3000;
  for (let i = 0; i < 500; i++) rate.take('busy', 10_000);
  expect(rate.size).toBe(1);
});
