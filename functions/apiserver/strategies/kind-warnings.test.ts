import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../machinery/object.ts';
import { warningsOf } from './kind-warnings.ts';

const object = (kind: string, spec: object, rest: object = {}): KubeObject =>
  ({ apiVersion: 'v1', kind, metadata: { name: 'x', generation: 1, ...rest }, spec }) as unknown as KubeObject;
const of = (key: string, one: KubeObject, old?: KubeObject): number => warningsOf(key)?.(one, old).length ?? -1;

describe('warnings', () => {
  const template = (spec: object) => ({ template: { spec: { containers: [{ name: 'c', image: 'i' }], ...spec } } });
  const spread = template({ topologySpreadConstraints: [{ topologyKey: 'z', maxSkew: 1 }] });

  it('look into templates, again only when the spec has changed', () => {
    const set = object('Deployment', spread);
    expect(of('apps/Deployment', set)).toBe(1);
    expect(of('apps/Deployment', set, set)).toBe(0);
    expect(of('apps/Deployment', set, object('Deployment', spread, { generation: 0 }))).toBe(1);
  });
  it('tell of names that are no DNS label where pods are named after them, on create', () => {
    const dotted = object('Job', template({}), { name: 'a.b' });
    expect(of('batch/Job', dotted)).toBe(1);
    expect(of('batch/Job', dotted, dotted)).toBe(0);
    expect(of('apps/DaemonSet', dotted)).toBe(0);
  });
  it('say nothing about updates of pods', () => {
    const pod = object('Pod', { containers: [], hostAliases: [{ ip: '010.0.0.1' }] });
    expect(of('/Pod', pod)).toBe(1);
    expect(of('/Pod', pod, pod)).toBe(0);
  });
  it('tell of ports that get into each other’s way', () => {
    const ports = [{ containerPort: 80, protocol: 'TCP', name: 'a' }];
    const containers = [
      { name: 'c', image: 'i', ports },
      { name: 'd', image: 'i', ports: [{ containerPort: 80, protocol: 'TCP', hostPort: 1, name: 'a' }] },
    ];
    expect(of('/Pod', object('Pod', { containers }))).toBe(2);
  });
  it('tell of addresses and amounts that will not be taken as they are meant', () => {
    const ingress = [{ from: [{ ipBlock: { cidr: '10.0.0.1/8', except: ['10.0.0.0/16'] } }] }];
    expect(of('networking.k8s.io/NetworkPolicy', object('NetworkPolicy', { ingress }))).toBe(1);
    const claim = { resources: { requests: { storage: '1500m' } } };
    expect(of('/PersistentVolumeClaim', object('PersistentVolumeClaim', claim))).toBe(1);
    expect(of('/ResourceQuota', object('ResourceQuota', { hard: { cpu: '2', 'limits.cpu': '1' } }))).toBe(1);
  });
});
