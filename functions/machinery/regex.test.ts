import { beforeAll, describe, expect, it } from 'vitest';
import { compilePattern, loadRegex, matchesPattern, patternError } from './regex.ts';

beforeAll(loadRegex);

describe('patterns', () => {
  const cases: [pattern: string, text: string, matches: boolean][] = [
    ['^a.*z$', 'abz', true],
    ['^a.*z$', 'a\nz', false],
    ['(?s)^a.*z$', 'a\nz', true],
    ['^\\pL+(?i)x\\z', 'abX', true],
    ['[[:digit:]]{2}', 'a12', true],
    ['\\Qa.b\\E', 'a.b', true],
    ['\\Qa.b\\E', 'axb', false],
    ['(?P<name>a)b', 'ab', true],
  ];
  for (const [pattern, text, matches] of cases)
    it(`${pattern} on ${JSON.stringify(text)}`, () => expect(matchesPattern(pattern, text)).toBe(matches));

  it('are refused where RE2 has no such syntax', () => {
    for (const bad of ['(', '(?=a)', '(a)\\1', 'a{1001}', '[z-a]', '\\'])
      expect(patternError(bad)).toBeTypeOf('string');
    expect(() => compilePattern('(')).toThrow(SyntaxError);
    expect(matchesPattern('(', 'anything')).toBe(false);
  });

  it('take time in proportion to the text', () => {
    const began = performance.now();
    expect(matchesPattern('(a+)+$', `${'a'.repeat(20_000)}!`)).toBe(false);
    expect(performance.now() - began).toBeLessThan(1000);
  });
});
