import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { createUpgrades } from '../upgrade.ts';
import { createAuditedServer } from './server-for-tests.ts';

const EXEC = '/api/v1/namespaces/default/pods/none/exec?command=ls';

it.each<[string, Record<string, string>, object[]]>([
  [
    'that is refused as nobody is known',
    { authorization: 'Bearer wrong' },
    [{ stage: 'ResponseStarted', user: {}, responseStatus: { code: 401, reason: 'Unauthorized' } }],
  ],
  [
    'that is refused as it may not be',
    { authorization: 'Bearer usertoken' },
    [
      { stage: 'RequestReceived', user: { username: 'alice' } },
      {
        stage: 'ResponseStarted',
        responseStatus: { code: 403 },
        annotations: { 'authorization.k8s.io/decision': 'forbid' },
      },
      { stage: 'ResponseComplete', responseStatus: { code: 403 } },
    ],
  ],
  [
    'of a pod that is not there, as another',
    { authorization: 'Bearer admintoken', 'impersonate-user': 'bob', 'impersonate-group': 'system:masters' },
    [
      { stage: 'RequestReceived', verb: 'get', objectRef: { resource: 'pods', name: 'none', subresource: 'exec' } },
      { stage: 'ResponseStarted', impersonatedUser: { username: 'bob' }, responseStatus: { code: 404 } },
      {
        stage: 'ResponseComplete',
        annotations: { 'authorization.k8s.io/decision': 'allow' },
        responseStatus: { code: 404 },
      },
    ],
  ],
])('an upgrade %s', async (_name, headers, told) => {
  const server = await createAuditedServer({ policy: { rules: [{ level: 'Metadata' }] } });
  const all = { ...headers, 'audit-id': 'mine', upgrade: 'websocket', connection: 'Upgrade' };
  const rawHeaders = Object.entries(all).flat();
  const request = { method: 'GET', url: EXEC, headers: all, rawHeaders } as unknown as IncomingMessage;
  const socket = new PassThrough();
  let answer = '';
  socket.on('data', (part: Buffer) => {
    answer += part.toString();
  });
  await createUpgrades(server.app.server, undefined).handle(request, socket, Buffer.alloc(0), { remoteAddress: '::1' });
  await expect.poll(() => server.texts.length).toBe(told.length);
  expect(server.events()).toMatchObject(told);
  expect(server.events()[0]).toMatchObject({ auditID: 'mine', sourceIPs: ['::1'] });
  expect(answer).toContain('Audit-Id: mine');
});

it('an upgrade whose client has left is told of to its end', async () => {
  const server = await createAuditedServer({ policy: { rules: [{ level: 'Metadata' }] } });
  const headers = { authorization: 'Bearer admintoken', upgrade: 'websocket', connection: 'Upgrade' };
  const request = { method: 'GET', url: EXEC, headers, rawHeaders: [] } as unknown as IncomingMessage;
  const socket = new PassThrough();
  socket.destroy();
  await once(socket, 'close');
  await createUpgrades(server.app.server, undefined).handle(request, socket, Buffer.alloc(0), {});
  expect(server.events().map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseStarted', 'ResponseComplete']);
});
