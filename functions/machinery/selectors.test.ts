import { describe, expect, it } from 'vitest';
import {
  checkFieldLabels,
  labelSelector,
  matchFields,
  parseFieldSelector,
  parseLabelSelector,
  type Requirement,
} from './selectors.ts';

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
let state = seed;
const random = (n: number): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return (state >> 8) % n;
};

describe('label selectors', () => {
  const labels = { app: 'web', tier: 'front', n: '5', in: 'x' };
  it.each([
    ['', true],
    ['app=web', true],
    ['app==web,tier!=back', true],
    ['app = db', false],
    ['app in (web, db)', true],
    ['app notin (web)', false],
    ['other notin (web)', true],
    ['app', true],
    ['!app', false],
    ['! other', true],
    ['n>4,n<6', true],
    ['app>1', false],
    ['missing=', false],
    ['in=x', true],
  ])('%j matches: %s', (text, matches) => expect(parseLabelSelector(text).matches(labels)).toBe(matches));

  it.each(['=a', 'a in b', 'a in (', 'a,,b', 'a=b c', 'a,', '-bad-=x', 'a=bad value!', 'a>x', '!', 'a in (b', 'a=b=c'])(
    'refuses %j',
    (text) => expect(() => parseLabelSelector(text)).toThrow(/^(unable to parse requirement: |found '.*', expected: )/),
  );

  it('selects nothing without a selector and everything with an empty one', () => {
    expect(labelSelector(undefined).matches(labels)).toBe(false);
    expect(labelSelector({}).matches(labels)).toBe(true);
    const rule = { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'x', operator: 'DoesNotExist' }] };
    expect(labelSelector(rule).matches(labels)).toBe(true);
    expect(labelSelector(rule).matches({ ...labels, x: '' })).toBe(false);
    expect(labelSelector({ matchExpressions: [{ key: 'toString', operator: 'Exists' }] }).matches({})).toBe(false);
  });

  it(`reads what it writes, and negations are complements (SEED=${seed})`, () => {
    const opposite = { in: 'notin', notin: 'in', exists: '!', '!': 'exists' } as const;
    const write = (r: Requirement): string => {
      if (r.operator === 'exists') return r.key;
      return r.operator === '!' ? `!${r.key}` : `${r.key} ${r.operator} (${r.values.join(',')})`;
    };
    for (let i = 0; i < 2000; i++) {
      const operator = (['in', 'notin', 'exists', '!'] as const)[random(4)] ?? 'in';
      const values = operator === 'in' || operator === 'notin' ? ['a', 'b', ''].slice(random(3)) : [];
      const r: Requirement = { key: `k${random(3)}`, operator, values };
      const set = random(2) ? { [`k${random(3)}`]: ['a', 'b', 'c'][random(3)] ?? '' } : {};
      const parsed = parseLabelSelector(write(r));
      expect(parsed.requirements[0]).toMatchObject({ key: r.key, operator });
      const other = parseLabelSelector(write({ ...r, operator: opposite[operator] }));
      expect(parsed.matches(set)).toBe(!other.matches(set));
    }
  });
});

describe('field selectors', () => {
  it('parses terms with escapes and matches them', () => {
    const terms = parseFieldSelector('metadata.name=a\\,b\\=c,status.phase!=Failed,x==');
    expect(terms).toEqual([
      { field: 'metadata.name', operator: '=', value: 'a,b=c' },
      { field: 'status.phase', operator: '!=', value: 'Failed' },
      { field: 'x', operator: '=', value: '' },
    ]);
    expect(matchFields(terms, (f) => (f === 'metadata.name' ? 'a,b=c' : ''))).toBe(true);
    expect(matchFields(terms, () => 'Failed')).toBe(false);
    expect(parseFieldSelector('')).toEqual([]);
  });
  it('refuses what it cannot read or does not support', () => {
    expect(() => parseFieldSelector('name')).toThrow(/can't understand/);
    expect(() => parseFieldSelector('a=b\\n')).toThrow(/invalid field selector/);
    expect(() => checkFieldLabels(parseFieldSelector('spec.x=1'), ['metadata.name'])).toThrow(
      'field label not supported: spec.x',
    );
  });
});
