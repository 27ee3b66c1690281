// What kube-apiserver 1.36.1 said of rules (x-kubernetes-validations) when a definition was written: nothing, that they do
// not compile, or what they could cost. Each stands once on an object, and once on the items of a list without a bound.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CustomResourceDefinition } from '../../../machinery/kinds.d.ts';
import { loadSchemaEngines, schemaCauses } from './definition-schema.ts';

interface Recorded {
  properties: object;
  rules: [rule: string, causes: string[]][];
}
const text = readFileSync(join(import.meta.dirname, 'recorded-rules.json'), 'utf8');
const { properties, rules } = JSON.parse(text) as Recorded;

const definition = (rule: string): CustomResourceDefinition => {
  const held = () => structuredClone({ type: 'object', properties, 'x-kubernetes-validations': [{ rule }] });
  const schema = { type: 'object', properties: { spec: held(), list: { type: 'array', items: held() } } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'a.example.com' },
    spec: {
      group: 'example.com',
      names: { plural: 'a', kind: 'A' },
      scope: 'Cluster',
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  } as unknown as CustomResourceDefinition;
};

beforeAll(() => loadSchemaEngines(definition('true')));

describe('rules of definitions', () => {
  it('are many', () => expect(rules.length).toBeGreaterThan(120));
  for (const [rule, causes] of rules)
    it(rule, () => {
      const found = schemaCauses(definition(rule)).map((one) => `${one.reason} ${one.field}: ${one.message}`);
      expect(found.sort()).toEqual([...causes].sort());
    });
});
