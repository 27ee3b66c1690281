import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../machinery/object.ts';
import { disabledFieldsOf } from './disabled-fields.ts';

describe('fields of features that are off', () => {
  it('go, and leave the rest', () => {
    const lifecycle = { stopSignal: 'SIGUSR1', preStop: { sleep: { seconds: 1 } } };
    const spec = { schedulingGroup: { podGroupName: 'g' }, containers: [{ name: 'c', lifecycle }] };
    const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: {}, spec: { template: { spec } } };
    disabledFieldsOf('batch/Job')?.(job as unknown as KubeObject);
    expect(job.spec.template.spec).toEqual({
      containers: [{ name: 'c', lifecycle: { preStop: { sleep: { seconds: 1 } } } }],
    });
  });
  it('are no concern of objects without them, nor of other kinds', () => {
    const set = { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: {} } as KubeObject;
    disabledFieldsOf('apps/StatefulSet')?.(set);
    expect(set).toEqual({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: {} });
    expect(disabledFieldsOf('/ConfigMap')).toBeUndefined();
  });
});
