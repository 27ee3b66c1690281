import { expect, test } from 'vitest';
import type { Pod } from '../functions/machinery/kinds.d.ts';
import { containerEnvironment, type EnvironmentSources, expand, serviceVariables } from './environment.ts';
import { hostsFile, podDns, podHostname, resolvConf } from './names.ts';
import { containerResources, qosClass } from './qos.ts';

const sources: EnvironmentSources = {
  configMap: async (_ns, name) => (name === 'conf' ? { metadata: { name }, data: { A: '1', B: '2' } } : undefined),
  secret: async (_ns, name) =>
    name === 'sec' ? { metadata: { name }, data: { P: Buffer.from('pw').toString('base64') } } : undefined,
  services: () => [
    {
      metadata: { name: 'my-db', namespace: 'ns' },
      spec: { clusterIP: '10.96.0.7', ports: [{ name: 'sql', port: 5432 }] },
    },
  ],
  podIPs: ['10.0.0.5'],
  hostIPs: ['192.168.0.1'],
  nodeName: 'n1',
  allocatable: { cpu: '2', memory: '1Gi' },
};
const pod: Pod = {
  metadata: { name: 'p', namespace: 'ns', uid: 'u', labels: { app: 'web' } },
  spec: { containers: [] },
};

test('env: sources in order, expansion, fields, and an error that names what is missing', async () => {
  const environment = await containerEnvironment(
    pod,
    {
      name: 'c',
      envFrom: [{ prefix: 'X_', configMapRef: { name: 'conf' } }],
      env: [
        { name: 'URL', value: 'db://$(MY_DB_SERVICE_HOST):$(MY_DB_SERVICE_PORT)/$(X_A)$(UNKNOWN)$$(X_A)' },
        { name: 'PW', valueFrom: { secretKeyRef: { name: 'sec', key: 'P' } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'APP', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
        { name: 'NONE', valueFrom: { configMapKeyRef: { name: 'conf', key: 'Z', optional: true } } },
      ],
    },
    sources,
  );
  const shown = Object.fromEntries(
    ['URL', 'PW', 'IP', 'APP', 'CPU', 'NONE'].map((name) => [name, environment.get(name)]),
  );
  expect(shown).toEqual({
    URL: 'db://10.96.0.7:5432/1$(UNKNOWN)$(X_A)',
    PW: 'pw',
    IP: '10.0.0.5',
    APP: 'web',
    CPU: '2',
    NONE: undefined,
  });
  const missing = { name: 'c', env: [{ name: 'V', valueFrom: { secretKeyRef: { name: 'none', key: 'k' } } }] };
  await expect(containerEnvironment(pod, missing, sources)).rejects.toMatchObject({
    reason: 'CreateContainerConfigError',
    message: 'secret "none" not found',
  });
});

test('service links and expansion', () => {
  const links = serviceVariables(sources.services('ns'));
  expect(links.get('MY_DB_PORT_5432_TCP')).toBe('tcp://10.96.0.7:5432');
  expect(links.get('MY_DB_SERVICE_PORT_SQL')).toBe('5432');
  expect(expand('$(A)$$(A)$', new Map([['A', 'x']]))).toBe('x$(A)$');
});

test('resolv.conf by policy, hosts with aliases, host names', () => {
  const names = {
    clusterDns: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    host: { servers: ['1.1.1.1'], searches: ['lan'], options: [] },
  };
  const withSpec = (spec: object): Pod => ({ ...pod, spec: { containers: [], ...spec } });
  expect(resolvConf(podDns(withSpec({ dnsConfig: { options: [{ name: 'ndots', value: '2' }] } }), names))).toBe(
    'search ns.svc.cluster.local svc.cluster.local cluster.local lan\nnameserver 10.96.0.10\noptions ndots:2\n',
  );
  expect(podDns(withSpec({ hostNetwork: true }), names).servers).toEqual(['1.1.1.1']);
  expect(podDns(withSpec({ dnsPolicy: 'None', dnsConfig: { nameservers: ['9.9.9.9'] } }), names)).toEqual({
    servers: ['9.9.9.9'],
    searches: [],
    options: [],
  });
  const named = withSpec({
    hostname: 'web-0',
    subdomain: 'web',
    hostAliases: [{ ip: '1.2.3.4', hostnames: ['a', 'b'] }],
  });
  expect(podHostname(named, 'cluster.local').fqdn).toBe('web-0.web.ns.svc.cluster.local');
  expect(hostsFile(named, ['10.0.0.5'], 'cluster.local', '')).toContain(
    '10.0.0.5\tweb-0.web.ns.svc.cluster.local\tweb-0\n1.2.3.4\ta\tb\n',
  );
  expect(hostsFile(named, [], 'cluster.local', '')).toMatch(/^# Kubernetes-managed hosts file\.\n127\.0\.0\.1\t/);
  expect(hostsFile(withSpec({ hostNetwork: true }), [], 'cluster.local', '127.0.0.1 me\n')).toBe(
    '# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n',
  );
});

test('quality of service and cgroup settings', () => {
  const of = (resources: object): Pod => ({ ...pod, spec: { containers: [{ name: 'c', resources }] } });
  const exact = { limits: { cpu: '500m', memory: '128Mi' }, requests: { cpu: '0.5', memory: '128Mi' } };
  expect([of({}), of({ requests: { cpu: '1' } }), of(exact)].map(qosClass)).toEqual([
    'BestEffort',
    'Burstable',
    'Guaranteed',
  ]);
  expect(containerResources(of(exact), { name: 'c', resources: exact }, 1 << 30)).toEqual({
    cpuShares: 512,
    cpuPeriod: 100_000,
    cpuQuota: 50_000,
    memoryLimitBytes: 134_217_728,
    oomScoreAdj: -997,
  });
});
