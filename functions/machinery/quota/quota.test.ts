import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../object.ts';
import type { Amounts } from './amounts.ts';
import { claimQuota } from './claims.ts';
import { evaluatorOf, inScopes, measuredBy } from './evaluators.ts';
import { podQuota } from './pods.ts';
import { resourceClaimQuota } from './resource-claims.ts';
import { serviceQuota } from './services.ts';

const object = (spec: object, more: object = {}): KubeObject =>
  ({ metadata: { name: 'x' }, spec, ...more }) as KubeObject;
const c = (requests?: object, limits?: object, more: object = {}) => ({
  name: 'c',
  ...((requests || limits) && { resources: { ...(requests && { requests }), ...(limits && { limits }) } }),
  ...more,
});

describe('pods count', () => {
  it.each<[string, KubeObject, Amounts]>([
    ['without resources', object({ containers: [c()] }), { 'count/pods': '1', pods: '1' }],
    [
      'what their containers ask for together',
      object({ containers: [c({ cpu: '100m', memory: '1Gi' }, { cpu: '1' }), c({ cpu: '200m' }, { memory: '2Gi' })] }),
      {
        'count/pods': '1',
        pods: '1',
        cpu: '300m',
        'requests.cpu': '300m',
        memory: '1Gi',
        'requests.memory': '1Gi',
        'limits.cpu': '1',
        'limits.memory': '2Gi',
      },
    ],
    [
      'the largest init container, and sidecars beside everything',
      object({
        initContainers: [c({ cpu: '1' }, undefined, { restartPolicy: 'Always' }), c({ cpu: '3' }), c({ cpu: '1' })],
        containers: [c({ cpu: '2' })],
      }),
      { 'count/pods': '1', pods: '1', cpu: '4', 'requests.cpu': '4' },
    ],
    [
      'overhead with requests, and with limits that are set',
      object({ containers: [c({ cpu: '1' }, { cpu: '2' })], overhead: { cpu: '1', memory: '1Mi' } }),
      {
        'count/pods': '1',
        pods: '1',
        cpu: '2',
        'requests.cpu': '2',
        memory: '1Mi',
        'requests.memory': '1Mi',
        'limits.cpu': '3',
      },
    ],
    [
      'extended resources and huge pages by their requests',
      object({ containers: [c({ 'example.com/gpu': '2', 'hugepages-2Mi': '4Mi' }, { 'example.com/gpu': '2' })] }),
      {
        'count/pods': '1',
        pods: '1',
        'requests.example.com/gpu': '2',
        'hugepages-2Mi': '4Mi',
        'requests.hugepages-2Mi': '4Mi',
      },
    ],
    [
      'resources of the pod over those of its containers',
      object({ containers: [c({ cpu: '1' })], resources: { requests: { cpu: '500m' }, limits: { memory: '1Gi' } } }),
      { 'count/pods': '1', pods: '1', cpu: '500m', 'requests.cpu': '500m', 'limits.memory': '1Gi' },
    ],
    [
      'what a resized container still has',
      object(
        { containers: [c({ cpu: '1' })] },
        { status: { containerStatuses: [{ name: 'c', resources: { requests: { cpu: '2' } } }] } },
      ),
      { 'count/pods': '1', pods: '1', cpu: '2', 'requests.cpu': '2' },
    ],
    ['nothing but themselves when they have ended', object({}, { status: { phase: 'Failed' } }), { 'count/pods': '1' }],
  ])('%s', (_, pod, wanted) => expect(podQuota.usage(pod, 0)).toEqual(wanted));

  it('no longer once their grace period has passed twice', () => {
    const metadata = { name: 'x', deletionTimestamp: '1970-01-01T00:00:10Z', deletionGracePeriodSeconds: 5 };
    const pod = { metadata, spec: { containers: [c()] } } as KubeObject;
    expect([podQuota.usage(pod, 15_000).pods, podQuota.usage(pod, 15_001).pods]).toEqual(['1', undefined]);
  });
});

describe('a pod is in the scope', () => {
  const scope = (scopeName: string, operator = 'Exists', values?: string[]) => [{ scopeName, operator, values }];
  const affinity = (term: object) => ({
    affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
  });
  it.each<[string, object, boolean]>([
    ['Terminating', { activeDeadlineSeconds: 0 }, true],
    ['Terminating', {}, false],
    ['NotTerminating', {}, true],
    ['BestEffort', { containers: [c({ 'ephemeral-storage': '1Gi' })] }, true],
    ['BestEffort', { containers: [c(undefined, { memory: '1Gi' })] }, false],
    ['NotBestEffort', { containers: [c({ cpu: '1' })] }, true],
    ['CrossNamespacePodAffinity', affinity({ topologyKey: 'k', namespaces: ['n'] }), true],
    ['CrossNamespacePodAffinity', affinity({ topologyKey: 'k', namespaceSelector: {} }), true],
    ['CrossNamespacePodAffinity', affinity({ topologyKey: 'k' }), false],
    ['PriorityClass', { priorityClassName: 'a' }, true],
    ['VolumeAttributesClass', {}, false],
  ])('%s: %j is %j', (name, spec, wanted) =>
    expect(inScopes(podQuota, scope(name), object({ containers: [c()], ...spec }))).toBe(wanted),
  );
  it.each<[string, string[] | undefined, string | undefined, boolean]>([
    ['In', ['a', 'b'], 'a', true],
    ['In', ['b'], 'a', false],
    ['In', ['b'], undefined, false],
    ['NotIn', ['b'], 'a', true],
    ['NotIn', ['a'], 'a', false],
    ['NotIn', ['a'], undefined, true],
    ['DoesNotExist', undefined, undefined, true],
    ['DoesNotExist', undefined, 'a', false],
  ])('PriorityClass %s %j with the class %s', (operator, values, priorityClassName, wanted) => {
    const pod = object({ containers: [c()], ...(priorityClassName && { priorityClassName }) });
    expect(inScopes(podQuota, scope('PriorityClass', operator, values), pod)).toBe(wanted);
  });
  it('of no other type', () => expect(inScopes(serviceQuota, scope('Terminating'), object({}))).toBe(false));
});

it.each<[string, string[], object[], string | undefined]>([
  ['nothing', ['pods', 'requests.ephemeral-storage'], [c()], undefined],
  ['cpu', ['cpu', 'limits.memory'], [c({ cpu: '1' }, { memory: '1' })], undefined],
  [
    'what is missing',
    ['requests.cpu', 'cpu'],
    [c(), { name: 'a' }],
    'must specify cpu for: a,c; requests.cpu for: a,c',
  ],
])('containers must say %s', (_, limits, containers, wanted) =>
  expect(podQuota.missing?.(limits, object({ containers }))).toBe(wanted),
);

it.each<[object, string, string]>([
  [{ type: 'ClusterIP', ports: [{ port: 1 }] }, '0', '0'],
  [{ type: 'NodePort', ports: [{ port: 1 }, { port: 2 }] }, '2', '0'],
  [{ type: 'LoadBalancer', ports: [{ port: 1 }] }, '1', '1'],
  [
    { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: [{ port: 1 }, { port: 2, nodePort: 30000 }] },
    '1',
    '1',
  ],
])('the service %j', (spec, nodePorts, balancers) => {
  const wanted = {
    'count/services': '1',
    services: '1',
    'services.nodeports': nodePorts,
    'services.loadbalancers': balancers,
  };
  expect(serviceQuota.usage(object(spec), 0)).toEqual(wanted);
});

describe('claims', () => {
  it('count storage in whole bytes, by class, and as it was given', () => {
    const claim = object({ storageClassName: 'gold', resources: { requests: { storage: '1500m' } } });
    const gold = {
      'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
      'gold.storageclass.storage.k8s.io/requests.storage': '2',
    };
    const wanted = {
      'count/persistentvolumeclaims': '1',
      persistentvolumeclaims: '1',
      'requests.storage': '2',
      ...gold,
    };
    expect(claimQuota.usage(claim, 0)).toEqual(wanted);
    const given = { status: { allocatedResources: { storage: '3Gi' } } };
    expect(
      claimQuota.usage(object({ resources: { requests: { storage: '1Gi' } } }, given), 0)['requests.storage'],
    ).toBe('3Gi');
  });
  it('are in the scope of every attributes class they want or have', () => {
    const claim = object({ volumeAttributesClassName: 'a' }, { status: { currentVolumeAttributesClassName: 'b' } });
    const inScope = (values: string[]) =>
      inScopes(claimQuota, [{ scopeName: 'VolumeAttributesClass', operator: 'In', values }], claim);
    expect([inScope(['a']), inScope(['b']), inScope(['c'])]).toEqual([true, true, false]);
  });
});

it('resource claims count devices by class: of alternatives the most, of all the most there can be', () => {
  const exactly = (deviceClassName: string, more: object) => ({ exactly: { deviceClassName, ...more } });
  const requests = [
    exactly('gpu', { allocationMode: 'ExactCount', count: 2 }),
    exactly('nic', { allocationMode: 'All' }),
    {
      firstAvailable: [
        { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 1 },
        { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 4 },
      ],
    },
  ];
  expect(resourceClaimQuota.usage(object({ devices: { requests } }), 0)).toEqual({
    'count/resourceclaims.resource.k8s.io': '1',
    'gpu.deviceclass.resource.k8s.io/devices': '6',
    'nic.deviceclass.resource.k8s.io/devices': '32',
  });
});

it.each<[string, string | undefined]>([
  ['count/jobs.batch', 'jobs.batch'],
  ['count/widgets.example.com', 'widgets.example.com'],
  ['secrets', 'secrets'],
  ['services.nodeports', 'services'],
  ['requests.storage', 'persistentvolumeclaims'],
  ['x.storageclass.storage.k8s.io/requests.storage', 'persistentvolumeclaims'],
  ['requests.example.com/gpu', 'pods'],
  ['requests.hugepages-1Gi', 'pods'],
  ['limits.example.com/gpu', undefined],
  ['count/events', undefined],
  ['pods', 'pods'],
])('%s is about %s', (limit, type) => expect(measuredBy(limit)).toBe(type));

it('counts custom resources as any other type, and events not at all', () => {
  const widgets = evaluatorOf({ group: 'example.com', resource: 'widgets' });
  expect(widgets?.usage(object({}), 0)).toEqual({ 'count/widgets.example.com': '1' });
  expect(evaluatorOf({ group: 'events.k8s.io', resource: 'events' })).toBeUndefined();
});
