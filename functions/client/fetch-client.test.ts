import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { createClient } from './fetch-client.ts';
import { createHttp2Fetch } from './http2-fetch.ts';
import { decodeLines } from './lines.ts';

const pods = { group: '', version: 'v1', resource: 'pods' };
const deployments = { group: 'apps', version: 'v1', resource: 'deployments' };

const answering = (status: number, body: unknown) => {
  const requests: Request[] = [];
  const fetch = async (request: Request) => {
    requests.push(request.clone());
    return new Response(JSON.stringify(body), { status });
  };
  return { requests, fetch };
};

test('requests go to the path of the cluster, with token, content type and preconditions', async () => {
  const { requests, fetch } = answering(200, { kind: 'Status', status: 'Success' });
  const client = createClient({ fetch, baseUrl: 'https://h:1/base/', cluster: 'team-a', token: 't' });
  await client.patch(deployments, 'x', 'web', { type: 'merge', body: { a: 1 } }, { subresource: 'status' });
  expect(await client.delete(pods, 'x', 'p', { uid: 'u', gracePeriodSeconds: 0 })).toBeUndefined();
  const [patch, remove] = requests;
  expect(patch?.url).toBe('https://h:1/base/clusters/team-a/apis/apps/v1/namespaces/x/deployments/web/status');
  expect(patch?.headers.get('content-type')).toBe('application/merge-patch+json');
  expect(patch?.headers.get('authorization')).toBe('Bearer t');
  expect(await remove?.json()).toMatchObject({ preconditions: { uid: 'u' }, gracePeriodSeconds: 0 });
});

test('a Status becomes a StatusError, a missing object on get is undefined, a broken body keeps its code', async () => {
  const lost = { kind: 'Status', code: 409, reason: 'Conflict', message: 'no' };
  const client = createClient({ ...answering(409, lost), baseUrl: 'https://h' });
  await expect(client.update(pods, { metadata: { name: 'p' } })).rejects.toMatchObject({
    code: 409,
    reason: 'Conflict',
  });
  const missing = createClient({ ...answering(404, { kind: 'Status', code: 404 }), baseUrl: 'https://h' });
  expect(await missing.get(pods, 'x', 'p')).toBeUndefined();
  const broken = createClient({ ...answering(502, 'bad gateway'), baseUrl: 'https://h' });
  await expect(broken.list(pods)).rejects.toMatchObject({ code: 502 });
});

test('items of a typed list get their kind', async () => {
  const list = { kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '7' }, items: [{ metadata: {} }] };
  const client = createClient({ ...answering(200, list), baseUrl: 'https://h' });
  expect(await client.list(pods)).toEqual({
    items: [{ metadata: {}, kind: 'Pod', apiVersion: 'v1' }],
    resourceVersion: '7',
  });
});

test('lines may be cut anywhere, inside a character too', async () => {
  const bytes = new TextEncoder().encode('{"a":"ü"}\n{"a":2}\n\n{"a":3}\n');
  for (let cut = 1; cut < bytes.length; cut++) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes.subarray(0, cut));
        controller.enqueue(bytes.subarray(cut));
        controller.close();
      },
    });
    const seen: unknown[] = [];
    for await (const value of decodeLines(body, new AbortController().signal)) seen.push(value);
    expect(seen).toEqual([{ a: 'ü' }, { a: 2 }, { a: 3 }]);
  }
});

test('HTTP/2: one connection, streaming watches that end when aborted, a new connection after a lost one', async () => {
  let connections = 0;
  const sessions = new Set<http2.ServerHttp2Session>();
  const server = http2.createServer();
  server.on('session', (session) => {
    connections++;
    sessions.add(session);
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
    if (String(headers[':path']).includes('watch=1')) {
      stream.write('{"type":"ADDED","object":{"metadata":{"name":"p"}}}\n');
      return;
    }
    stream.end(JSON.stringify({ kind: 'PodList', metadata: { resourceVersion: '1' }, items: [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fetch = createHttp2Fetch();
  const client = createClient({ fetch, baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  await Promise.all([client.list(pods), client.list(pods), client.list(pods)]);
  const abort = new AbortController();
  const names: unknown[] = [];
  for await (const event of client.watch(pods, {}, abort.signal)) {
    names.push((event.object as { metadata: { name?: string } }).metadata.name);
    abort.abort();
  }
  expect(names).toEqual(['p']);
  expect(connections).toBe(1);
  for (const session of sessions) session.destroy();
  await client.list(pods);
  expect(connections).toBe(2);
  fetch.close();
  server.close();
});
