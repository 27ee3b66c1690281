import { expect, it } from 'vitest';
import { bells, bill, eks, fixed, PRICES, storage, sum } from './cost-model.ts';

const none = { invocations: {}, functionMs: 0, writeUnits: 0, readUnits: 0, standardRequests: 0, fifoRequests: 0 };

it('bills nothing for nothing', () => {
  expect(sum(bill(none, 730))).toBe(0);
});

it('bills a million of each at its price', () => {
  const million = { ...none, writeUnits: 1e6, readUnits: 1e6, standardRequests: 1e6, fifoRequests: 1e6 };
  const made = bill(million, 1);
  expect(made['DynamoDB writes']).toBeCloseTo(0.625);
  expect(made['DynamoDB reads']).toBeCloseTo(0.125);
  expect(made.SQS).toBeCloseTo(0.9);
  // A million invocations of 10 ms each at half a gigabyte.
  const functions = bill({ ...none, invocations: { apiserver: 1e6 }, functionMs: 1e7 }, 1);
  expect(functions['Lambda requests']).toBeCloseTo(0.2);
  expect(functions['Lambda time']).toBeCloseTo(0.0667, 3);
});

it('knows what goes on all month', () => {
  expect(eks()).toBeCloseTo(73);
  expect(sum(bells(1))).toBeCloseTo(0.0526, 3);
  expect(sum(storage(1e9))).toBeCloseTo(0.45);
  expect(fixed()['Polls at the queues']).toBeCloseTo(0.92, 2);
  expect(fixed()['KMS key']).toBe(1);
});

it('names where each price is from', () => {
  for (const price of Object.values(PRICES)) expect(price.source).toMatch(/^https:\/\/aws\.amazon\.com\//);
});
