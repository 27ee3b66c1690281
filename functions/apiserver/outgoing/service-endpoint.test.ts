import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createTestServer } from '../custom/server-for-tests.ts';
import { callWebhook } from './client.ts';
import { startHttps } from './https-for-tests.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A node whose agent connects to this port of ours for any address of a pod's; tells what it was asked for. */
const startNode = async (port: number) => {
  const asked: string[] = [];
  const node: Server = createServer();
  node.on('upgrade', (request, socket) => {
    asked.push(request.url ?? '');
    const pod = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      socket.pipe(pod).pipe(socket);
    });
    pod.on('error', () => socket.destroy());
    socket.on('error', () => pod.destroy());
    socket.on('close', () => pod.destroy());
  });
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => void node.close(resolve)));
  closing.push(() => node.closeAllConnections());
  return { asked, port: (node.address() as AddressInfo).port };
};

const started = async () => {
  const hook = await startHttps(
    (_request, response, body) => void response.end(JSON.stringify({ got: JSON.parse(body) })),
    ['hook.default.svc'],
  );
  closing.push(hook.close);
  const node = await startNode(hook.port);
  const { app, send, patch } = await createTestServer();
  app.server.dialer = { dial: async () => connect(node.port, '127.0.0.1') };
  const core = '/api/v1/namespaces/default';
  const made = async (path: string, body: object) => {
    const { status, body: answer } = await send('POST', path, body);
    if (status !== 201) throw new Error(JSON.stringify(answer));
  };
  await made(`${core}/serviceaccounts`, { metadata: { name: 'default' } });
  const spec = { nodeName: 'n', automountServiceAccountToken: false, containers: [{ name: 'c', image: 'i' }] };
  await made(`${core}/pods`, { metadata: { name: 'p' }, spec });
  await patch('merge', `${core}/pods/p/status`, { status: { podIP: '10.1.1.1', podIPs: [{ ip: '10.1.1.1' }] } });
  await made(`${core}/services`, { metadata: { name: 'hook' }, spec: { ports: [{ port: 443, targetPort: 8443 }] } });
  const ready = (isReady: boolean) => ({
    metadata: { name: 'hook', labels: { 'kubernetes.io/service-name': 'hook' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.1.1'], conditions: { ready: isReady }, targetRef: { kind: 'Pod', name: 'p' } }],
    ports: [{ name: '', port: 8443 }],
  });
  const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
  await made(slices, ready(true));
  const config = { service: { name: 'hook', namespace: 'default', path: '/x' }, caBundle: hook.caBundle };
  return { app, node, hook, config, patch, path: `${slices}/hook`, ready };
};

it('a service is reached at a ready pod, through its node, by the name that its certificate is for', async () => {
  const { app, node, config } = await started();
  expect(await callWebhook(app.server, 'default', config, { a: 1 }, 5000)).toEqual({ got: { a: 1 } });
  expect(node.asked).toEqual(['/dial/10.1.1.1/8443']);
  await callWebhook(app.server, 'default', config, { a: 2 }, 5000);
  expect(node.asked).toHaveLength(1);
});

it('a service without a ready endpoint, and one that answers as another, are failures', async () => {
  const { app, config, patch, path, ready } = await started();
  await patch('merge', path, ready(false));
  const asked = (more: object = {}) => callWebhook(app.server, 'default', { ...config, ...more }, {}, 5000);
  await expect(asked()).rejects.toThrow(
    'Post "https://hook.default.svc:443/x?timeout=5s": no endpoints available for service "hook:443"',
  );
  const service = { ...config.service, port: 444 };
  await expect(asked({ service })).rejects.toThrow('no service port 444 found for service "hook"');
  await patch('merge', path, ready(true));
  const { caBundle: _none, ...untrusted } = config;
  await expect(callWebhook(app.server, 'default', untrusted, {}, 5000)).rejects.toThrow(
    'tls: failed to verify certificate: x509: certificate signed by unknown authority',
  );
});
