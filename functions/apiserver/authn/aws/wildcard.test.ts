import { expect, it } from 'vitest';
import { fitsWildcard } from './wildcard.ts';

it.each<[string, string[], string[]]>([
  ['dev', ['dev'], ['', 'dev-1', 'a-dev']],
  ['*', ['', 'dev'], []],
  ['dev-*', ['dev-', 'dev-1'], ['dev', 'a-dev-1']],
  ['*-dev', ['-dev', 'a-dev'], ['dev', 'a-dev-']],
  ['a*a', ['aa', 'aba'], ['a', 'ab']],
  ['a*b*c', ['abc', 'a1b2c', 'abbc'], ['ac', 'acb', 'ab', 'bc']],
  ['a**b', ['ab', 'axb'], ['a', 'b']],
  ['a.c', ['a.c'], ['abc']],
])('%s fits %j and not %j', (pattern, fitting, others) => {
  for (const text of fitting) expect(fitsWildcard(pattern, text), text).toBe(true);
  for (const text of others) expect(fitsWildcard(pattern, text), text).toBe(false);
});

it('takes no longer for patterns that are made to', () => {
  const began = performance.now();
  expect(fitsWildcard(`${'a*'.repeat(31)}b`, 'a'.repeat(63))).toBe(false);
  expect(performance.now() - began).toBeLessThan(50);
});
