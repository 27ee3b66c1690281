import { expect, it } from 'vitest';
import { createSystemClock } from '../../../clock/system.ts';
import type { LimitRange, PersistentVolumeClaim, Pod } from '../../../machinery/kinds.d.ts';
import { createMemoryStore } from '../../../store/memory.ts';
import { createReplicas } from '../../../store/replica.ts';
import { createApiServer } from '../../app.ts';
import { staticTokens, user } from '../../authn/authenticator.ts';
import { mastersAuthorizer } from '../../authz/authorizer.ts';
import { claimLimitFaults, podLimitFaults } from './constraints.ts';

const range = (item: object): LimitRange => ({ metadata: {}, spec: { limits: [item] } }) as unknown as LimitRange;
const pod = (...resources: object[]): Pod =>
  ({
    metadata: {},
    spec: { containers: resources.map((one, i) => ({ name: `c${i}`, resources: one })) },
  }) as unknown as Pod;

it.each<[string, object, object, string[]]>([
  ['no request', { min: { cpu: '100m' } }, {}, ['minimum cpu usage per Container is 100m.  No request is specified']],
  [
    'a small request',
    { min: { cpu: '0.1' } },
    { requests: { cpu: '50m' } },
    ['minimum cpu usage per Container is 100m, but request is 50m'],
  ],
  [
    'a small limit',
    { min: { cpu: '100m' } },
    { requests: { cpu: '100m' }, limits: { cpu: '50m' } },
    ['minimum cpu usage per Container is 100m, but limit is 50m'],
  ],
  ['just enough', { min: { cpu: '100m' } }, { requests: { cpu: '100m' } }, []],
  [
    'no limit',
    { max: { memory: '1Gi' } },
    { requests: { memory: '1Mi' } },
    ['maximum memory usage per Container is 1Gi.  No limit is specified'],
  ],
  [
    'a large limit',
    { max: { memory: '1Gi' } },
    { limits: { memory: '2Gi' } },
    ['maximum memory usage per Container is 1Gi, but limit is 2Gi'],
  ],
  [
    'a large request',
    { max: { memory: '1Gi' } },
    { requests: { memory: '2Gi' }, limits: { memory: '1Gi' } },
    ['maximum memory usage per Container is 1Gi, but request is 2Gi'],
  ],
  ['just as much', { max: { memory: '1Gi' } }, { requests: { memory: '1Gi' }, limits: { memory: '1Gi' } }, []],
  [
    'a ratio without request',
    { maxLimitRequestRatio: { cpu: '2' } },
    { limits: { cpu: '1' } },
    ['cpu max limit to request ratio per Container is 2, but no request is specified or request is 0'],
  ],
  [
    'a ratio without limit',
    { maxLimitRequestRatio: { cpu: '2' } },
    { requests: { cpu: '1' } },
    ['cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0'],
  ],
  [
    'a large ratio',
    { maxLimitRequestRatio: { cpu: '1500m' } },
    { requests: { cpu: '1' }, limits: { cpu: '1600m' } },
    ['cpu max limit to request ratio per Container is 1500m, but provided ratio is 1.600000'],
  ],
  [
    'the same ratio',
    { maxLimitRequestRatio: { cpu: '1500m' } },
    { requests: { cpu: '1' }, limits: { cpu: '1500m' } },
    [],
  ],
])('containers: %s', (_, item, resources, wanted) =>
  expect(podLimitFaults(range({ type: 'Container', ...item }), pod(resources))).toEqual(wanted),
);

it('holds a pod as a whole against limits of type Pod', () => {
  const both = pod({ requests: { cpu: '1' }, limits: { cpu: '1' } }, { requests: { cpu: '1' }, limits: { cpu: '2' } });
  expect(podLimitFaults(range({ type: 'Pod', max: { cpu: '2' } }), both)).toEqual([
    'maximum cpu usage per Pod is 2, but limit is 3',
  ]);
  expect(podLimitFaults(range({ type: 'Pod', min: { cpu: '2' }, max: { cpu: '3' } }), both)).toEqual([]);
});

it.each([
  ['1Gi', []],
  ['512Mi', ['minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi']],
  ['3Gi', ['maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi']],
])('claims: %s', (storage, wanted) => {
  const claim = { metadata: {}, spec: { resources: { requests: { storage } } } } as PersistentVolumeClaim;
  const item = { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } };
  expect(claimLimitFaults(range(item), claim)).toEqual(wanted);
});

it('gives defaults, notes them, and refuses with every fault', async () => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  const app = createApiServer({
    store,
    clock,
    replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 }),
    authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
    authorizer: mastersAuthorizer(),
    disableAdmission: ['ServiceAccount'],
  });
  const send = async (path: string, body: object) => {
    const headers = { authorization: 'Bearer t', 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await app.fetch(new Request(`http://server/api/v1/namespaces${path}`, init));
    return (await response.json()) as Pod & { message?: string };
  };
  await send('', { metadata: { name: 'n' } });
  const item = {
    type: 'Container',
    max: { cpu: '1', memory: '1Gi' },
    default: { cpu: '500m', memory: '200Mi' },
    defaultRequest: { cpu: '100m', memory: '100Mi' },
  };
  await send('/n/limitranges', { metadata: { name: 'l' }, spec: { limits: [item] } });
  const containers = [
    { name: 'a', image: 'i' },
    { name: 'b', image: 'i', resources: { limits: { cpu: '800m', memory: '300Mi' }, requests: { memory: '1Mi' } } },
  ];
  const made = await send('/n/pods', { metadata: { name: 'p' }, spec: { containers } });
  expect(made.metadata.annotations).toEqual({
    'kubernetes.io/limit-ranger':
      'LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a',
  });
  expect(made.spec?.containers.map((one) => one.resources)).toEqual([
    { requests: { cpu: '100m', memory: '100Mi' }, limits: { cpu: '500m', memory: '200Mi' } },
    { requests: { cpu: '800m', memory: '1Mi' }, limits: { cpu: '800m', memory: '300Mi' } },
  ]);
  const large = { limits: { cpu: '2', memory: '2Gi' } };
  const refused = await send('/n/pods', {
    metadata: { name: 'q' },
    spec: { containers: [{ name: 'a', image: 'i', resources: large }] },
  });
  expect(refused.message).toBe(
    'pods "q" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, ' +
      'maximum memory usage per Container is 1Gi, but limit is 2Gi]',
  );
});
