// What kube-apiserver 1.36.1 made of expressions, as validations `[EXPRESSION] == []` of a policy for a config map: the
// texts of those that it refused, the faults of those that failed, and the values of the others, formatted by %s.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadRegex } from '../regex.ts';
import { admissionEnvironment, compileFor, namespaceType, requestType, variablesType } from './admission.ts';
import { int, listOf } from './types.ts';
import { fromJson, ObjectValue, type Value } from './values.ts';

type Table = Record<'refused' | 'faults' | 'values', [expression: string, text: string][]>;
const table = JSON.parse(readFileSync(join(import.meta.dirname, 'recorded-expressions.json'), 'utf8')) as Table;

beforeAll(loadRegex);

const { type, add } = variablesType();
add('l', listOf(int));
const plain = admissionEnvironment({ params: false, authorizer: true });
const env = admissionEnvironment({ params: false, authorizer: true, variables: type });

const kind = { group: '', version: 'v1', kind: 'ConfigMap' };
const resource = { group: '', version: 'v1', resource: 'configmaps' };
const variables: Record<string, Value> = {
  object: fromJson({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'cm', namespace: 'default', labels: { a: 'b' }, creationTimestamp: '2026-11-21T10:00:00Z' },
    data: { k: 'v' },
  }),
  oldObject: null,
  request: new ObjectValue(requestType, {
    kind,
    resource,
    requestKind: kind,
    requestResource: resource,
    namespace: 'default',
    operation: 'CREATE',
    dryRun: true,
  }),
  namespaceObject: new ObjectValue(namespaceType, {
    metadata: {
      name: 'default',
      labels: { 'kubernetes.io/metadata.name': 'default' },
      creationTimestamp: '2026-11-21T09:00:00Z',
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }),
  variables: new ObjectValue(type, { l: fromJson([1, 2, 3]) as unknown }),
};

const run = (source: string) => {
  const made = compileFor(env, source);
  if (!('program' in made)) throw new Error(made.fault);
  return made.program.evaluate(variables);
};
const name = (expression: string): string => expression.slice(0, 80).trim();

describe('expressions that are refused', () => {
  for (const [expression, text] of table.refused)
    it(name(expression), () => {
      const made = compileFor(/variables/.test(expression) ? env : plain, `[${expression}] == []`);
      expect('fault' in made && made.fault).toBe(text);
    });
});

describe('expressions that fail', () => {
  for (const [expression, text] of table.faults)
    it(name(expression), () => {
      const result = run(`[${expression}] == []`);
      expect('fault' in result && result.fault.message).toBe(text);
    });
});

describe('values of expressions', () => {
  for (const [expression, text] of table.values)
    it(name(expression), () => expect(run(`"%s".format([${expression}])`)).toMatchObject({ value: text }));
});
