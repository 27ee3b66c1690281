/**
 * Regular expressions as Go reads them (RE2 syntax, linear time), on re2js. The engine costs 10 ms and 4 MB to load, so it
 * is loaded by whoever is about to need it.
 *
 *   await loadRegex()                  once, before the functions below; cheap when it is loaded
 *   patternError(source)               why a pattern does not compile, or undefined
 *   matchesPattern(source, text)       true where the pattern matches anywhere in the text; false for a bad pattern
 *   compilePattern(source)             the compiled pattern; throws SyntaxError
 *
 * Compiled patterns are kept, the oldest go first.
 */
import type { RE2JS } from 're2js';

export type Pattern = RE2JS;

const PATTERNS_MAX = 2000;
const compiled = new Map<string, RE2JS | string>();
let engine: typeof RE2JS | undefined;

export const loadRegex = async (): Promise<void> => {
  engine ??= (await import('re2js')).RE2JS;
};

const compile = (source: string): RE2JS | string => {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  if (!engine) throw new Error('loadRegex() was not awaited');
  let made: RE2JS | string;
  try {
    made = engine.compile(source);
  } catch (error) {
    made = error instanceof Error ? error.message : String(error);
  }
  if (compiled.size >= PATTERNS_MAX) compiled.delete(compiled.keys().next().value ?? '');
  compiled.set(source, made);
  return made;
};

export const patternError = (source: string): string | undefined => {
  const made = compile(source);
  return typeof made === 'string' ? made : undefined;
};

export const compilePattern = (source: string): Pattern => {
  const made = compile(source);
  if (typeof made === 'string') throw new SyntaxError(made);
  return made;
};

export const matchesPattern = (source: string, text: string): boolean => {
  const made = compile(source);
  return typeof made !== 'string' && made.test(text);
};
