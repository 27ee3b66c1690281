import { expect, it } from 'vitest';
import type { Pod, PodStatus } from '../functions/machinery/kinds.d.ts';
import { statusPatch } from './status.ts';

const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };
const podWith = (status: unknown): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', uid: 'u' },
    spec: { containers: [{ name: 'main' }] },
    status,
  }) as Pod;

it('writes nothing where the stored status differs only by the nulls that the API adds', () => {
  const next: PodStatus = { phase: 'Running', conditions: [ready] };
  const pod = podWith({ phase: 'Running', conditions: [{ ...ready, lastProbeTime: null }] });
  expect(statusPatch(pod, next)).toBeUndefined();
});

it('writes what changed and clears by null a reason that no longer holds', () => {
  const was = { ...ready, status: 'False', reason: 'ContainersNotReady', lastProbeTime: null };
  const patch = statusPatch(podWith({ phase: 'Pending', conditions: [was] }), {
    phase: 'Running',
    conditions: [ready],
  });
  expect(patch).toEqual({
    metadata: { uid: 'u' },
    status: { phase: 'Running', conditions: [{ ...ready, reason: null }] },
  });
});
