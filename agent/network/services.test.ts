import { describe, expect, it } from 'vitest';
import type { EndpointSlice, Service } from '../../functions/machinery/kinds.d.ts';
import { lookup, type Zone } from './dns-answers.ts';
import { goneTargets, updateScript } from './nft.ts';
import { rulesOf, slicesByService } from './services.ts';

const service = (name: string, spec: Service['spec']): Service => ({
  metadata: { name, namespace: 'a' },
  spec: spec ?? {},
});
const slice = (name: string, ips: string[], extra: object = {}): EndpointSlice =>
  ({
    metadata: { name: `${name}-1`, namespace: 'a', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: ips.map((ip, i) => ({ addresses: [ip], nodeName: `n${i}`, conditions: { ready: true }, ...extra })),
  }) as EndpointSlice;
const web = service('web', {
  type: 'NodePort',
  clusterIP: '10.96.0.7',
  clusterIPs: ['10.96.0.7'],
  ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30080 }],
});
const rules = (services: Service[], slices: EndpointSlice[], node = 'n0') =>
  rulesOf(services, slicesByService(slices), node, new Set(['10.96.0.10']));

describe('rulesOf', () => {
  it('leads a service to its ready endpoints', () => {
    expect(rules([web], [slice('web', ['10.244.0.3', '10.244.0.2'])])).toMatchObject([
      {
        label: 'a/web:http',
        protocol: 'tcp',
        port: 80,
        ips: ['10.96.0.7'],
        nodePort: 30080,
        internal: [
          { ip: '10.244.0.2', port: 8080 },
          { ip: '10.244.0.3', port: 8080 },
        ],
      },
    ]);
  });

  it('keeps to the node under a Local policy, and keeps the source', () => {
    const local = service('web', { ...web.spec, externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' });
    const [rule] = rules([local], [slice('web', ['10.244.0.2', '10.244.1.2'])], 'n1');
    expect(rule?.external).toEqual([{ ip: '10.244.1.2', port: 8080 }]);
    expect(rule?.internal).toEqual([{ ip: '10.244.1.2', port: 8080 }]);
    expect(rule?.preserveSource).toBe(true);
  });

  it('falls back to endpoints that still serve while they terminate', () => {
    const going = { conditions: { ready: false, serving: true, terminating: true } };
    expect(rules([web], [slice('web', ['10.244.0.2'], going)])[0]?.internal).toHaveLength(1);
    const down = { conditions: { ready: false, serving: false } };
    expect(rules([web], [slice('web', ['10.244.0.2'], down)])[0]?.internal).toHaveLength(0);
  });

  it('has none for headless services, external names and the addresses of the node', () => {
    const headless = service('h', { clusterIP: 'None', ports: [{ port: 1 }] });
    const external = service('e', { type: 'ExternalName', externalName: 'example.com' });
    const dns = service('dns', { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ports: [{ port: 53 }] });
    expect(rules([headless, external, dns], [])).toEqual([]);
  });
});

describe('updateScript', () => {
  const one = rules([web], [slice('web', ['10.244.0.2'])]);
  const two = rules([web], [slice('web', ['10.244.0.2', '10.244.0.3'])]);

  it('is empty when nothing changed', () => expect(updateScript(one, one)).toBe(''));

  it('adds chains before what leads to them', () => {
    const lines = updateScript([], one).split('\n');
    const at = (part: string) => lines.findIndex((l) => l.includes(part));
    expect(at('add chain')).toBeLessThan(at('add rule'));
    expect(at('add element ip skiff-proxy service-ips { 10.96.0.7 . tcp . 80 : goto svc-')).toBeGreaterThan(
      at('add rule'),
    );
    expect(at('node-ports { tcp . 30080 : goto ext-')).toBeGreaterThan(0);
  });

  it('touches only what an endpoint more concerns', () => {
    const script = updateScript(one, two);
    expect(script).not.toContain('element');
    expect(script.match(/add chain/g)).toHaveLength(1);
    expect(script.match(/flush chain/g)).toHaveLength(2);
  });

  it('moves a service without endpoints to the refused', () => {
    const none = rules([web], []);
    const script = updateScript(one, none);
    expect(script).toContain('delete element ip skiff-proxy service-ips { 10.96.0.7 . tcp . 80 }');
    expect(script).toContain('add element ip skiff-proxy no-endpoints { 10.96.0.7 . tcp . 80 }');
    expect(script.indexOf('delete element')).toBeLessThan(script.indexOf('delete chain'));
  });

  it('tells which UDP targets are gone', () => {
    const udp = one.map((r) => ({ ...r, protocol: 'udp' as const }));
    expect(goneTargets(udp, [])).toEqual([{ ip: '10.244.0.2', port: 8080 }]);
    expect(goneTargets(one, [])).toEqual([]);
  });
});

describe('cluster DNS', () => {
  const headless = service('db', { clusterIP: 'None', ports: [{ name: 'http', port: 8080 }] });
  const external = service('ext', { type: 'ExternalName', externalName: 'example.com' });
  const slices = slicesByService([slice('db', ['10.244.0.9'], { hostname: 'db-0' }), slice('web', ['10.244.0.2'])]);
  const zone: Zone = {
    services: new Map([web, headless, external].map((s) => [`a/${s.metadata.name}`, s])),
    slices,
    domain: 'cluster.local',
  };
  const ask = (name: string, type: 'A' | 'AAAA' | 'SRV' | 'PTR' | 'CNAME' = 'A') => lookup(zone, { name, type });
  const data = (name: string, type: 'A' | 'SRV' | 'PTR' = 'A') => {
    const got = ask(name, type);
    return got.type === 'answers' ? got.answers.map((x) => ('data' in x ? x.data : undefined)) : got.type;
  };

  it.each([
    ['web.a.svc.cluster.local', ['10.96.0.7']],
    ['WEB.A.svc.Cluster.Local.', ['10.96.0.7']],
    ['db.a.svc.cluster.local', ['10.244.0.9']],
    ['db-0.db.a.svc.cluster.local', ['10.244.0.9']],
    ['ext.a.svc.cluster.local', ['example.com']],
    ['10-244-0-5.a.pod.cluster.local', ['10.244.0.5']],
    ['nope.a.svc.cluster.local', 'missing'],
    ['a.svc.cluster.local', 'empty'],
    ['b.svc.cluster.local', 'missing'],
    ['999-1-1-1.a.pod.cluster.local', 'missing'],
    ['example.com', 'foreign'],
  ])('%s', (name, want) => expect(data(name)).toEqual(want));

  it('has no AAAA where there is an A', () =>
    expect(ask('web.a.svc.cluster.local', 'AAAA')).toEqual({ type: 'empty' }));

  it('names ports by SRV', () => {
    expect(data('_http._tcp.web.a.svc.cluster.local', 'SRV')).toEqual([
      { priority: 0, weight: 100, port: 80, target: 'web.a.svc.cluster.local' },
    ]);
    expect(data('_http._tcp.db.a.svc.cluster.local', 'SRV')).toEqual([
      { priority: 0, weight: 100, port: 8080, target: 'db-0.db.a.svc.cluster.local' },
    ]);
    expect(data('_nope._tcp.web.a.svc.cluster.local', 'SRV')).toBe('missing');
  });

  it('finds names by address', () => {
    expect(data('7.0.96.10.in-addr.arpa', 'PTR')).toEqual(['web.a.svc.cluster.local']);
    expect(data('9.0.244.10.in-addr.arpa', 'PTR')).toEqual(['db-0.db.a.svc.cluster.local']);
    expect(data('1.1.1.1.in-addr.arpa', 'PTR')).toBe('foreign');
  });
});
