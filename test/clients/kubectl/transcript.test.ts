import { expect, it } from 'vitest';
import { formatStep, parseTranscript, reconciled } from './transcript.ts';

it('reads commands with their further lines and outputs, and writes them again', () => {
  const text = '$ cat > a <<F\n> b\n> F\n$ kubectl get cm\nNAME\n[exit 1]';
  const steps = parseTranscript(text);
  expect(steps).toEqual([
    { command: 'cat > a <<F\nb\nF', expected: [] },
    { command: 'kubectl get cm', expected: ['NAME', '[exit 1]'] },
  ]);
  expect(steps.map(formatStep).join('\n')).toBe(text);
});

it('lets patterns stand for what fits them, and shows what does not', () => {
  expect(reconciled(['a <*> c', '<...>', 'end'], ['a b c', 'x', 'y', 'end'])).toEqual(['a <*> c', '<...>', 'end']);
  expect(reconciled(['a <*> c', 'end'], ['a b d', 'end', 'more'])).toEqual(['a b d', 'end', 'more']);
  expect(reconciled(['a', 'b'], ['a'])).toEqual(['a']);
});
