import { beforeAll, describe, expect, it } from 'vitest';
import { loadRegex } from '../regex.ts';
import { createEnvironment } from './environment.ts';
import { func, method } from './library.ts';
import { bool, dyn, int, listOf, type ObjectType, opaque, string } from './types.ts';
import { EvalFault, fromJson, OpaqueValue, type Value } from './values.ts';

beforeAll(loadRegex);

const env = createEnvironment({ variables: { object: dyn, count: int, names: listOf(string) } });
const run = (source: string, variables: Record<string, Value> = {}, limit?: number) => {
  const made = env.compile(source);
  if ('issues' in made) throw new Error(made.describe());
  return made.program.evaluate(variables, limit);
};

// The language for admission policies and match conditions: variables by name, data without a schema.
describe('an environment', () => {
  const object = fromJson({
    metadata: { name: 'a', labels: { x: 'y' } },
    spec: { replicas: 3, weight: 1.5, list: [1, 2] },
  });

  it('reads data without a schema', () => {
    expect(run("object.metadata.labels.x == 'y' && object.spec.replicas == 3", { object })).toMatchObject({
      value: true,
    });
    expect(run('type(object.spec.weight) == double && object.spec.list.all(i, i > 0)', { object })).toMatchObject({
      value: true,
    });
    expect(run('has(object.spec.nope)', { object })).toMatchObject({ value: false });
  });

  it('gives faults as values', () => {
    const result = run('object.spec.nope == 1', { object });
    expect('fault' in result && result.fault.message).toBe('no such key: nope');
    expect(run('count == 1')).toHaveProperty('fault');
    expect(run("object.spec.replicas + 'a' == 'b'", { object })).toHaveProperty('fault');
  });

  it('lets either side of && and || decide, whatever the other does', () => {
    expect(run('1 / 0 == 1 || true')).toMatchObject({ value: true });
    expect(run('false && 1 / 0 == 1')).toMatchObject({ value: false });
    expect(run('1 / 0 == 1 && false')).toMatchObject({ value: false });
    expect(run('1 / 0 == 1 || false')).toHaveProperty('fault');
    expect(run('[1, 0, 2].exists(i, 4 / i == 2)')).toMatchObject({ value: true });
    expect(run('[1, 0, 2].all(i, 4 / i > 5)')).toMatchObject({ value: false });
  });

  it('counts what an evaluation costs, and stops at the limit', () => {
    const names = fromJson(Array.from({ length: 100 }, (_, i) => `n${i}`));
    const whole = run("names.all(n, n.startsWith('n'))", { names });
    expect(whole).toMatchObject({ value: true, cost: 502 });
    expect(run("names.all(n, n.startsWith('n'))", { names }, 100)).toMatchObject({ overBudget: true });
    expect(run("names.exists(n, n == 'zz') || true", { names }, 100)).toMatchObject({ overBudget: true });
  });

  it('tells where a source is wrong', () => {
    const made = env.compile('count +\n  foo');
    expect('issues' in made && made.describe()).toBe(
      "ERROR: <input>:2:3: undeclared reference to 'foo' (in container '')\n |   foo\n | ..^",
    );
    expect(env.compile('count', { result: [bool] })).toHaveProperty('issues');
    expect(env.compile('count', { result: [bool, int] })).toHaveProperty('program');
    for (const bad of [
      '',
      '(',
      'a b',
      '1 +',
      "'x",
      'count.x',
      'names[true]',
      'has(count)',
      'namespace',
      '99999999999999999999',
    ])
      expect(env.compile(bad), bad).toHaveProperty('issues');
  });

  it('refuses what is nested too deep', () => {
    expect(env.compile(`${'('.repeat(300)}1${')'.repeat(300)}`)).toHaveProperty('issues');
    const long = Array.from({ length: 2000 }, (_, i) => `count != ${i}`).join(' && ');
    expect(run(long, { count: 5000n })).toMatchObject({ value: true });
  });

  it('takes libraries of its caller', () => {
    const gate = opaque('test.Gate');
    const library = {
      functions: {
        gate: [
          func('gate_of', [string], gate, (name: string) => new OpaqueValue('test.Gate', name, (o) => o === name)),
        ],
        open: [
          method('gate_open', [gate, int], bool, (value: OpaqueValue, n: bigint) => {
            if (n < 0n) throw new EvalFault('no such gate');
            return value.content === 'yes';
          }),
        ],
      },
    };
    const own = createEnvironment({ variables: {}, libraries: [library] });
    const made = own.compile("gate('yes').open(1)");
    expect('program' in made && made.program.evaluate({})).toMatchObject({ value: true });
    expect(env.compile("gate('yes')")).toHaveProperty('issues');
  });

  it('makes objects of types that it is given', () => {
    const spec: ObjectType = {
      kind: 'object',
      name: 'Object.spec',
      fields: new Map([['replicas', { type: int, json: 'replicas', adapt: (v) => v }]]),
    };
    const own = createEnvironment({ variables: {}, types: { 'Object.spec': spec } });
    const made = own.compile('Object.spec{replicas: 3}.replicas == 3');
    expect('program' in made && made.program.evaluate({})).toMatchObject({ value: true });
    expect(own.compile("Object.spec{replicas: 'a'}")).toHaveProperty('issues');
    expect(own.compile('Object.spec{nope: 1}')).toHaveProperty('issues');
  });

  it('survives any text', () => {
    const seed = Number(process.env.SEED ?? 7);
    let state = seed;
    const next = (n: number): number => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % n;
    };
    const parts = [
      'count',
      'names',
      'object',
      '.',
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      '?',
      ':',
      '+',
      '-',
      '==',
      '&&',
      '!',
      "'a'",
    ];
    parts.push('1', '1u', '2.5', 'all', 'x', ',', 'in', 'has', 'map', 'null', '.?', '[?', 'size', 'matches', '\\', '"');
    for (let i = 0; i < 3000; i++) {
      const source = Array.from({ length: 1 + next(12) }, () => parts[next(parts.length)]).join(next(2) ? ' ' : '');
      const made = env.compile(source);
      if (!('program' in made)) continue;
      const result = made.program.evaluate({ count: 1n, names: fromJson(['a']), object: fromJson({ x: 1 }) });
      expect(
        ['value', 'fault'].some((key) => key in result),
        `seed ${seed}: ${source}`,
      ).toBe(true);
    }
  });
});
