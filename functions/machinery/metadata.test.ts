import { describe, expect, it } from 'vitest';
import { schemaOf } from './facts.ts';
import { validateLabelSelector, validateObjectMeta, validateObjectMetaUpdate } from './metadata.ts';
import * as names from './names.ts';
import { validateEnums, validateRequired } from './required.ts';

const fields = (causes: { field: string; reason: string }[]) => causes.map((c) => `${c.field} ${c.reason}`);

describe('names', () => {
  it.each([
    [names.dns1123Label, ['a', '0a-b'], ['', 'A', '-a', 'a-', 'a.b', 'a'.repeat(64)]],
    [names.dns1123Subdomain, ['a.b', 'a-1.b'], ['', 'a..b', '.a', 'A.b', 'a'.repeat(254)]],
    [names.dns1035Label, ['a1', 'a-b'], ['1a', 'a_', '']],
    [names.qualifiedName, ['a', 'Ex_a.b', 'ex.com/Name'], ['', 'a/b/c', '/a', 'A.com/', 'a b']],
    [names.labelValue, ['', 'a_B.c'], ['-a', 'a b', 'x'.repeat(64)]],
    [names.envVarName, ['A', 'a.b-c', 'a b'], ['', 'a=b', 'é']],
    [names.configMapKey, ['a.b', '...x'.slice(3), '_'], ['', '.', '..', '..a', 'a/b']],
    [names.portName, ['http', 'a-1'], ['', '80', 'a--b', '-a', 'A', 'x'.repeat(16)]],
    [names.percent, ['1%', '200%'], ['%', '1', '-1%']],
    [
      names.ipAddress,
      ['1.2.3.4', '::', '2001:db8::ffff', '::ffff:1.2.3.4'],
      ['1.2.3', '01.2.3.4', ':::', '1::2::3', 'g::'],
    ],
    [names.cidr, ['10.0.0.0/8', '2001:db8::/64'], ['10.0.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/08']],
    [names.wildcardSubdomain, ['*.a.b'], ['*', 'a.b', '*.*.a']],
  ])('%o', (check, good, bad) => {
    for (const text of good) expect([text, check(text)]).toEqual([text, []]);
    for (const text of bad) expect([text, check(text).length > 0]).toEqual([text, true]);
  });
});

describe('metadata', () => {
  it('finds every fault with its path', () => {
    const meta = {
      name: 'Bad',
      labels: { 'a b': 'x y' },
      annotations: { k: 'v'.repeat(256 * 1024) },
      finalizers: ['plain', 'example.com/ok'],
      ownerReferences: [
        { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: '', controller: true },
        { apiVersion: 'v1', kind: 'Pod', name: 'q', uid: '2', controller: true },
      ],
    };
    expect(fields(validateObjectMeta(meta, { namespaced: true }))).toEqual([
      'metadata.name FieldValueInvalid',
      'metadata.namespace FieldValueRequired',
      'metadata.labels FieldValueInvalid',
      'metadata.labels FieldValueInvalid',
      'metadata.annotations FieldValueTooLong',
      'metadata.ownerReferences.uid FieldValueInvalid',
      'metadata.ownerReferences FieldValueInvalid',
      'metadata.finalizers[0] FieldValueInvalid',
    ]);
    expect(validateObjectMeta({ name: 'ok', generateName: 'ok-' }, { namespaced: false })).toEqual([]);
  });

  it('keeps what identifies an object and stops new finalizers while it is deleted', () => {
    const old = { name: 'a', uid: '1', resourceVersion: '1', deletionTimestamp: '2024-01-01T00:00:00Z' };
    expect(validateObjectMetaUpdate({ ...old }, old)).toEqual([]);
    expect(fields(validateObjectMetaUpdate({ ...old, uid: '2', finalizers: ['a.b/c'] }, old))).toEqual([
      'metadata.finalizers FieldValueForbidden',
      'metadata.uid FieldValueInvalid',
    ]);
  });

  it('validates selectors', () => {
    const matchExpressions = [
      { key: 'a', operator: 'In' },
      { key: 'b', operator: 'Exists', values: ['x'] },
      { key: 'c d', operator: 'Like' },
    ];
    expect(fields(validateLabelSelector({ matchExpressions }, 'spec.selector'))).toEqual([
      'spec.selector.matchExpressions[0].values FieldValueRequired',
      'spec.selector.matchExpressions[1].values FieldValueForbidden',
      'spec.selector.matchExpressions[2].operator FieldValueInvalid',
      'spec.selector.matchExpressions[2].key FieldValueInvalid',
    ]);
  });
});

describe('generic validation', () => {
  it('names required fields and values outside an enum', () => {
    const spec = schemaOf('core.v1.PodSpec');
    expect(fields(validateRequired(spec, { containers: [{ image: 'x' }] }, 'spec'))).toEqual([
      'spec.containers[0].name FieldValueRequired',
    ]);
    expect(fields(validateRequired(spec, {}, 'spec'))).toEqual(['spec.containers FieldValueRequired']);
    expect(fields(validateEnums(spec, { dnsPolicy: 'Maybe', restartPolicy: 'Never' }, 'spec'))).toEqual([
      'spec.dnsPolicy FieldValueNotSupported',
    ]);
  });
});
