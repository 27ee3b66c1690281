// The fabric, the service proxy and the DNS with real namespaces and nftables. Needs root, iproute2 and nftables.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createFabric, type FabricNode } from '../../agent/network/fabric.ts';
import { containersMissing, describeWith } from './needs.ts';

const fabric = createFabric(`t${process.pid % 100000}`);
let nodes: FabricNode[] = [];

/** Runs TypeScript inside a node's namespace; gives its standard output. */
const inside = async (node: FabricNode, source: string): Promise<string> => {
  const root = join(import.meta.dirname, '../..');
  const program = `import { createServiceProxy } from '${root}/agent/network/proxy.ts';
    import { startDns } from '${root}/agent/network/dns.ts';
    import { createServer, connect } from 'node:net'; import { Resolver } from 'node:dns/promises';
    const ask = (host, port) => new Promise((resolve) => { const s = connect({ host, port, timeout: 3000 }); let t = '';
      s.on('data', (c) => { t += c; }); s.on('end', () => resolve(t)); s.on('error', (e) => resolve(e.code)); s.on('timeout', () => { s.destroy(); resolve('timeout'); }); });
    const serve = (ip, port, text) => new Promise((resolve) => { const s = createServer((c) => { c.on('error', () => {}); c.end(text); }); s.listen(port, ip, () => resolve(s)); });
    ${source}
    process.exit(0);`;
  const args = [`--net=${node.netns}`, process.execPath, '--input-type=module-typescript', '-e', program];
  const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  await once(child, 'close');
  return out.trim();
};

const SERVICES = `const services = [{ metadata: { name: 'web', namespace: 'a' }, spec: { type: 'NodePort', clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'],
    ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30080 }] } }, { metadata: { name: 'none', namespace: 'a' }, spec: { clusterIP: '10.96.0.8', clusterIPs: ['10.96.0.8'], ports: [{ port: 80 }] } }];
  const slices = (ips) => [{ metadata: { name: 's', namespace: 'a', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: ips.map((ip) => ({ addresses: [ip] })) }];
  const proxy = createServiceProxy({ node: 'n', podCidr: '10.244.0.0/24', own: new Set() });`;

describeWith(containersMissing(), 'node network', () => {
  beforeAll(async () => {
    nodes = [await fabric.addNode('n0', 0), await fabric.addNode('n1', 1)];
  });
  afterAll(() => fabric.teardown());

  it('joins nodes, and changes nothing in the host', async () => {
    const [a, b] = nodes;
    if (!a || !b) throw new Error('no nodes');
    const served = inside(
      b,
      `const s = await serve('${b.ip}', 9000, 'from b'); await new Promise((r) => setTimeout(r, 1500)); s.close();`,
    );
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(await inside(a, `console.log(await ask('${b.ip}', 9000));`)).toBe('from b');
    await served;
    expect(readdirSync('/sys/class/net').filter((n) => /fabric|node\d/.test(n))).toEqual([]);
  });

  it('leads a cluster IP and a node port to the endpoints, refuses a service without any, follows changes', async () => {
    const [a] = nodes;
    if (!a) throw new Error('no nodes');
    const out = await inside(
      a,
      `${SERVICES}
      await serve('127.0.0.2', 8080, 'one'); await serve('127.0.0.3', 8080, 'two');
      await serve('${a.ip}', 8080, 'one');
      await proxy.update(services, slices(['${a.ip}']));
      console.log(await ask('10.96.0.7', 80), await ask('${a.ip}', 30080), await ask('10.96.0.8', 80));
      await proxy.update(services, slices([]));
      console.log(await ask('10.96.0.7', 80), await ask('${a.ip}', 30080));
      await proxy.update(services, slices(['${a.ip}']));
      console.log(await ask('10.96.0.7', 80));
      await proxy.update([], []);
      await proxy.update(services, slices(['${a.ip}']));
      console.log(await ask('10.96.0.7', 80));`,
    );
    expect(out.split('\n')).toEqual(['one one ECONNREFUSED', 'ECONNREFUSED ECONNREFUSED', 'one', 'one']);
  });

  it('answers DNS over UDP and TCP on its service address', async () => {
    const [a] = nodes;
    if (!a) throw new Error('no nodes');
    const out = await inside(
      a,
      `${SERVICES}
      const dns = await startDns({ ip: '10.96.0.10', port: 53, domain: 'cluster.local', upstreams: [] });
      dns.update(services, slices([]));
      const r = new Resolver({ timeout: 1000, tries: 1 }); r.setServers(['10.96.0.10']);
      console.log(JSON.stringify([await r.resolve4('web.a.svc.cluster.local'), await r.resolve4('nope.a.svc.cluster.local').catch((e) => e.code), await r.resolve4('example.com').catch((e) => e.code)]));`,
    );
    expect(JSON.parse(out)).toEqual([['10.96.0.7'], 'ENOTFOUND', 'ESERVFAIL']);
  });

  it('leaves nothing behind', async () => {
    const other = createFabric(`u${process.pid % 100000}`);
    await other.addNode('n0', 0);
    await createFabric(`u${process.pid % 100000}`).teardown();
    expect(
      existsSync('/run/netns')
        ? readdirSync('/run/netns').filter((n) => n.startsWith(`skiff-u${process.pid % 100000}`))
        : [],
    ).toEqual([]);
  });
});
