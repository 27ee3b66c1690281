import { expect, it } from 'vitest';
import type { Pod } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { strategyFor } from './index.ts';

const ctx = { subresource: 'status', now: 0 } as never;
const fields = (group: string, kind: string, next: object, old: object = {}): string[] =>
  (strategyFor(group, kind).validateStatusUpdate?.(next as KubeObject, old as KubeObject, ctx) ?? []).map(
    (c) => c.field,
  );
const pod = (status: object, spec: object = {}) => ({
  metadata: {},
  spec: { containers: [{ name: 'c', image: 'i' }], restartPolicy: 'Always', ...spec },
  status,
});
const ended = (name: string, exitCode: number) => ({ name, state: { terminated: { exitCode } } });
const running = (name: string) => ({ name, state: { running: {} } });

it.each([
  [{ podIPs: [{ ip: 'bad' }] }, ['status.podIPs[0]']],
  [{ podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] }, []],
  [{ podIPs: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }] }, ['status.podIPs']],
  [{ hostIP: '10.0.0.1', hostIPs: [{ ip: '10.0.0.2' }] }, ['status.hostIPs[0].ip']],
  [{ nominatedNodeName: 'Bad_' }, ['status.nominatedNodeName']],
  [{ conditions: [{ type: 'bad type', status: 'True' }] }, ['status.conditions[0].Type']],
  [{ observedGeneration: -1 }, ['status.observedGeneration']],
  [{ resourceClaimStatuses: [{ name: 'x' }] }, ['status.resourceClaimStatuses[0].name']],
])("a pod's status %j: %j", (status, wanted) => {
  expect(fields('', 'Pod', pod(status), pod({}))).toEqual(wanted);
});

it.each([
  ['Never', 0, ['status.containerStatuses[0].state']],
  ['OnFailure', 0, ['status.containerStatuses[0].state']],
  ['OnFailure', 1, []],
  ['Always', 0, []],
])('a container that ended does not run again under %s after %i: %j', (restartPolicy, code, wanted) => {
  const before = pod({ containerStatuses: [ended('c', code)] }, { restartPolicy });
  const after = pod({ containerStatuses: [running('c')] }, { restartPolicy });
  expect(fields('', 'Pod', after, before)).toEqual(wanted);
  const own = { containers: [{ name: 'c', image: 'i', restartPolicy: 'Always' }] };
  expect(fields('', 'Pod', pod(after.status, { restartPolicy, ...own }), pod(before.status, own))).toEqual([]);
});

it('keeps the QoS class, and the two forms of an address alike', () => {
  const next = pod({ phase: 'Running', podIP: '10.0.0.1' }) as unknown as Pod;
  strategyFor('', 'Pod').prepareForUpdate?.(next, pod({ qosClass: 'Burstable' }) as KubeObject, ctx);
  expect(next.status).toEqual({
    phase: 'Running',
    podIP: '10.0.0.1',
    podIPs: [{ ip: '10.0.0.1' }],
    qosClass: 'Burstable',
  });
  expect(fields('', 'Pod', pod({ qosClass: 'Guaranteed' }), pod({ qosClass: 'Burstable' }))).toEqual([
    'status.qosClass',
  ]);
});

const balanced = (type: string, ...ingress: object[]) => ({
  metadata: {},
  spec: { type },
  status: { loadBalancer: { ingress } },
});
it.each([
  [balanced('ClusterIP', { ip: '1.2.3.4' }), ['status.loadBalancer.ingress']],
  [balanced('LoadBalancer', { ip: '1.2.3.4', ipMode: 'VIP' }), []],
  [balanced('LoadBalancer', { ip: 'x' }), ['status.loadBalancer.ingress[0].ip']],
  [balanced('LoadBalancer', { hostname: '1.2.3.4' }), ['status.loadBalancer.ingress[0].hostname']],
  [balanced('LoadBalancer', { hostname: 'a.b', ipMode: 'VIP' }), ['status.loadBalancer.ingress[0].ipMode']],
])("a service's status %j: %j", (service, wanted) => {
  expect(fields('', 'Service', service)).toEqual(wanted);
});

it('knows what a condition, a claim and an attachment may say', () => {
  const condition = { type: 'x', status: 'Maybe', reason: 'a b', lastTransitionTime: '2026-01-01T00:00:00Z' };
  const bare = { type: 'x', status: 'True' };
  const conditions = [condition, bare];
  expect(fields('policy', 'PodDisruptionBudget', { metadata: {}, status: { conditions } })).toEqual([
    'status.conditions[0].status',
    'status.conditions[0].reason',
    'status.conditions[1].type',
    'status.conditions[1].lastTransitionTime',
    'status.conditions[1].reason',
  ]);
  const claim = { capacity: { storage: '-1' }, allocatedResourceStatuses: { cpu: 'Other' } };
  expect(fields('', 'PersistentVolumeClaim', { metadata: {}, status: claim })).toEqual([
    'status.capacity[storage]',
    'status.allocatedResourceStatuses',
    'status.allocatedResourceStatuses',
  ]);
  const attachmentMetadata = { a: 'x'.repeat(300_000) };
  expect(fields('storage.k8s.io', 'VolumeAttachment', { metadata: {}, status: { attachmentMetadata } })).toEqual([
    'status.attachmentMetadata',
  ]);
});
