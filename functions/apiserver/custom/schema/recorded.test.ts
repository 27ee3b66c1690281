import { beforeAll, describe, expect, it } from 'vitest';
import { createEnvironment, OBJECT_BUDGET } from '../../../machinery/cel/environment.ts';
import { typeText } from '../../../machinery/cel/types.ts';
import type { JsonObject, KubeObject } from '../../../machinery/object.ts';
import { customKind } from './custom-kind.ts';
import { declarationOf, sizeBelow } from './declaration.ts';
import { formatCheck } from './formats.ts';
import formats from './recorded/formats.json' with { type: 'json' };
import recordedRules from './recorded/rules.json' with { type: 'json' };
import values from './recorded/values.json' with { type: 'json' };
import { loadRules } from './rules.ts';
import type { Structural } from './structural.ts';

interface GivenValue {
  given: JsonObject;
  stored?: JsonObject;
  refuses?: string[];
}
interface RecordedRule {
  rule: string;
  refused?: true;
  estimate?: number;
  value?: boolean;
  fault?: true;
}

beforeAll(loadRules);

// What an unmodified kube-apiserver 1.36.1 answered: schemas and objects, the causes it refused them with, what it stored.
describe('values of custom resources, as recorded', () => {
  for (const { name, schema, values: list } of values as unknown as {
    name: string;
    schema: Structural;
    values: GivenValue[];
  }[])
    it(name, () => {
      const kind = customKind(schema);
      for (const { given, stored, refuses } of list) {
        const { value } = kind.coerce({ metadata: { name: 'w' }, ...given }, { defaults: true });
        const causes = kind.validateCreate(value as unknown as KubeObject).map((c) => `${c.reason} ${c.field}`);
        expect(causes.sort(), JSON.stringify(given)).toEqual([...(refuses ?? [])].sort());
        const { metadata: _, ...rest } = value;
        if (stored) expect(rest).toEqual(stored);
      }
    });
});

describe('formats of strings, as recorded', () => {
  for (const [format, valid] of Object.entries(formats.valid))
    it(format, () => {
      const check = formatCheck(format);
      expect(check === undefined).toBe(valid === null);
      if (check) expect(formats.samples.filter(check)).toEqual(valid);
    });
});

// Whether rules compile, what they are estimated to cost at most, and what they give, as cel-go and upstream's libraries say.
describe('rules, as recorded', () => {
  const declaration = declarationOf(recordedRules.schema as unknown as Structural, false);
  if (!declaration) throw new Error('the recorded schema declares an object');
  const { type } = declaration;
  const environment = createEnvironment({ variables: { self: type, oldSelf: type } });
  for (const { rule, refused, estimate, value, fault } of recordedRules.rules as RecordedRule[])
    it(rule, () => {
      const made = environment.compile(rule);
      const program = 'program' in made && typeText(made.program.type) === 'bool' ? made.program : undefined;
      expect(program === undefined).toBe(refused ?? false);
      if (!program) return;
      expect(program.estimate(sizeBelow(declaration))).toBe(estimate);
      const result = program.evaluate({ self: declaration.adapt(recordedRules.self) }, OBJECT_BUDGET);
      expect('value' in result ? result.value : 'fault').toBe(fault ? 'fault' : value);
    });
});
