import { expect, it } from 'vitest';
import type { EndpointSlice, Endpoints, Service } from '../../machinery/kinds.d.ts';
import { endpointSliceMirroringController as controller } from './mirroring.ts';

const service = (selector?: Record<string, string>): Service => ({
  metadata: { name: 'a', namespace: 'n' },
  spec: { ports: [{ port: 80 }], ...(selector && { selector }) },
});
const source = (subsets: Endpoints['subsets'], labels: Record<string, string> = {}): Endpoints => ({
  metadata: { name: 'a', namespace: 'n', uid: 'e', labels },
  ...(subsets && { subsets }),
});
const plan = (from: Endpoints, current: EndpointSlice[] = [], of: Service | undefined = service()) =>
  controller.decide({ service: of, endpoints: from, current }, 0).writes;
const made = (from: Endpoints): EndpointSlice[] =>
  plan(from).map((write, i) => {
    const { object } = write as unknown as { object: EndpointSlice };
    return { ...object, metadata: { ...object.metadata, name: `a-${i}`, uid: `s${i}`, resourceVersion: '1' } };
  });
const ports = [{ port: 80 }];

it('makes a slice for each family and set of ports, and nothing more when they are there', () => {
  const from = source(
    [
      { addresses: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }], notReadyAddresses: [{ ip: '10.0.0.2' }], ports },
      { addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 81, name: 'x' }] },
    ],
    { q: 'r' },
  );
  const slices = made(from);
  expect(slices.map((s) => [s.addressType, s.ports?.[0]?.port, s.endpoints?.map((e) => e.conditions?.ready)])).toEqual([
    ['IPv4', 80, [true, false]],
    ['IPv6', 80, [true]],
    ['IPv4', 81, [true]],
  ]);
  expect(slices[0]?.metadata.labels).toEqual({
    q: 'r',
    'kubernetes.io/service-name': 'a',
    'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
  });
  expect(plan(from, slices)).toEqual([]);
});

it('takes a slice over whose ports nobody has any more', () => {
  const [slice] = made(source([{ addresses: [{ ip: '10.0.0.1' }], ports }]));
  if (!slice) throw new Error('no slice');
  const writes = plan(source([{ addresses: [{ ip: '10.0.0.3' }], ports: [{ port: 90 }] }]), [slice]);
  expect(writes).toHaveLength(1);
  expect(writes[0]).toMatchObject({ op: 'update', object: { metadata: { name: 'a-0' }, ports: [{ port: 90 }] } });
});

it.each([
  ['the service selects pods', service({ a: 'b' }), {}],
  ['there is no service', undefined, {}],
  ['it is not to be mirrored', service(), { 'endpointslice.kubernetes.io/skip-mirror': 'true' }],
])('mirrors nothing, and removes what it mirrored, where %s', (_why, of, labels) => {
  const subsets = [{ addresses: [{ ip: '10.0.0.1' }], ports }];
  const observed = { service: of, endpoints: source(subsets, labels), current: made(source(subsets)) };
  expect(controller.decide(observed, 0).writes.map((write) => write.op)).toEqual(['delete']);
});

it('mirrors a thousand addresses of a subset', () => {
  const addresses = Array.from({ length: 1001 }, (_, i) => ({ ip: `10.0.${i >> 8}.${i & 255}` }));
  expect(made(source([{ addresses, ports }]))[0]?.endpoints).toHaveLength(1000);
});
