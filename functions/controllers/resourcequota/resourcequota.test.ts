import { expect, it } from 'vitest';
import type { Pod, ResourceQuota } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { resourceQuotaController } from './resourcequota.ts';

const used = (hard: Record<string, string>, objects: Record<string, KubeObject[]>, spec: object = {}) => {
  const quota = { metadata: { name: 'q', namespace: 'n', uid: 'u' }, spec: { hard, ...spec } } as ResourceQuota;
  const [write] = resourceQuotaController.decide(
    { quota, charges: [], objects: new Map(Object.entries(objects)) },
    0,
  ).writes;
  return write?.op === 'patch' ? (write.merge.status as { used: object }).used : undefined;
};
const pod = (cpu: string | undefined, more: object = {}, phase = 'Running'): Pod =>
  ({
    metadata: {},
    spec: { containers: [{ name: 'c', ...(cpu && { resources: { requests: { cpu } } }) }], ...more },
    status: { phase },
  }) as Pod;

it('adds what the pods request, the largest init container included, and leaves finished pods out', () => {
  const pods = [
    pod('100m'),
    pod('200m', { initContainers: [{ name: 'i', resources: { requests: { cpu: '1' } } }] }),
    pod('4', {}, 'Succeeded'),
  ];
  const wanted = { pods: '2', 'requests.cpu': '1100m', cpu: '1100m', 'count/pods': '3' };
  expect(used({ pods: '9', 'requests.cpu': '9', cpu: '9', 'count/pods': '9' }, { pods })).toEqual(wanted);
});

it.each([
  [['BestEffort'], '1'],
  [['NotBestEffort'], '2'],
  [['Terminating'], '1'],
  [['NotBestEffort', 'NotTerminating'], '1'],
])('counts the pods of the scopes %j', (scopes, wanted) => {
  const pods = [pod(undefined), pod('1'), pod('1', { activeDeadlineSeconds: 5 })];
  expect(used({ pods: '9' }, { pods }, { scopes })).toEqual({ pods: wanted });
});

it('counts services, claims by class and any other type', () => {
  const claim = { metadata: {}, spec: { storageClassName: 'fast', resources: { requests: { storage: '2Gi' } } } };
  const service = { metadata: {}, spec: { type: 'LoadBalancer', ports: [{ port: 1 }, { port: 2 }] } };
  const hard = {
    'services.nodeports': '9',
    'services.loadbalancers': '9',
    'fast.storageclass.storage.k8s.io/requests.storage': '9Gi',
    'requests.storage': '9Gi',
    'count/jobs.batch': '9',
  };
  const objects = { services: [service], persistentvolumeclaims: [claim, claim], 'jobs.batch': [{ metadata: {} }] };
  expect(used(hard, objects)).toEqual({
    'services.nodeports': '2',
    'services.loadbalancers': '1',
    'fast.storageclass.storage.k8s.io/requests.storage': '4Gi',
    'requests.storage': '4Gi',
    'count/jobs.batch': '1',
  });
});

it('leaves the count to later while a charge is on its way, and no longer than its process can live', () => {
  const quota = { metadata: { name: 'q', namespace: 'n', uid: 'u' }, spec: { hard: { pods: '9' } } } as ResourceQuota;
  const charge = { metadata: { name: 'x', namespace: 'n' }, quotas: ['q'], at: 1_000 };
  const plan = (now: number, quotas = ['q']) =>
    resourceQuotaController.decide({ quota, charges: [{ ...charge, quotas }], objects: new Map([['pods', []]]) }, now);
  expect(plan(2_000)).toEqual({ writes: [], again: { afterMs: 200 } });
  expect(plan(2_000, ['other']).writes).toHaveLength(1);
  expect(plan(61_001).writes).toHaveLength(1);
});

it('leaves out limits that nothing is counted by', () => {
  expect(used({ pods: '1', 'example.com/dongle': '4' }, { pods: [] })).toEqual({ pods: '0' });
});
