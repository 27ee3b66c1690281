import { describe, expect, it } from 'vitest';
import { decode } from './decode.ts';
import { nullEmpties } from './empties.ts';
import { schemaOf } from './facts.ts';
import type { JsonObject } from './object.ts';

describe('nullEmpties', () => {
  it('writes null for empty lists that are encoded when unset, at any depth', () => {
    const limits = decode<JsonObject>(schemaOf('core.v1.LimitRange'), { spec: { limits: [] } }).value;
    expect(limits.spec).toEqual({ limits: [] });
    nullEmpties(schemaOf('core.v1.LimitRange'), limits);
    expect(limits.spec).toEqual({ limits: null });
    const pod = { spec: { containers: [], volumes: [{ name: 'v', projected: { sources: [] } }] } };
    nullEmpties(schemaOf('core.v1.Pod'), pod);
    expect(pod).toEqual({ spec: { containers: null, volumes: [{ name: 'v', projected: { sources: null } }] } });
  });
  it('leaves pointers, full lists and fields without one alone', () => {
    const pod = { metadata: { labels: {} }, spec: { containers: [{ name: 'c' }], securityContext: {} } };
    const before = structuredClone(pod);
    nullEmpties(schemaOf('core.v1.Pod'), pod);
    expect(pod).toEqual(before);
  });
});
