import { X509Certificate } from 'node:crypto';
import { beforeEach, expect, it } from 'vitest';
import type { Client } from '../client/client.ts';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { type CloudPlane, createCloudPlane } from './cloud/plane.ts';
import { joinable } from './cloud/trust.ts';
import { FRONT_ADDRESSES, FRONT_NAMES, FRONT_SUBJECT } from './front-names.ts';
import { requestServing } from './issue.ts';
import { type JoinAnswer, makeJoinToken, withJoin } from './join.ts';

const NODES = { group: '', version: 'v1', resource: 'nodes' };
const SECRETS = { group: '', version: 'v1', resource: 'secrets' };

let now = 0;
const clock = { ...createSystemClock(), now: () => now };
let plane: CloudPlane;
let client: Client;
let app: { fetch(request: Request): Promise<Response> };
let request = '';

beforeEach(async () => {
  now = Date.now();
  plane = await createCloudPlane({ store: createMemoryStore(), clock, log: () => {} });
  await plane.seed('default');
  client = plane.client('default');
  app = joinable(plane, 'https://gateway.test');
  ({ request } = await requestServing(FRONT_SUBJECT, [...FRONT_NAMES], [...FRONT_ADDRESSES]));
});

const post = (path: string, token: string, body: unknown): Promise<Response> =>
  app.fetch(
    new Request(`https://server${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    }),
  );
const joined = async (node: string, token: string): Promise<JoinAnswer> => {
  const answer = await post('/skiff/v1/join', token, { node, request });
  expect(answer.status, await answer.clone().text()).toBe(200);
  return (await answer.json()) as JoinAnswer;
};
const ownNode = async ({ node, token }: JoinAnswer): Promise<number> => {
  const headers = { authorization: `Bearer ${token}` };
  return (await app.fetch(new Request(`https://server/api/v1/nodes/${node}`, { headers }))).status;
};
const hourToken = async (prefix = ''): Promise<string> =>
  (await makeJoinToken(client, clock, { seconds: 3600, prefix })).token;

it('gives a machine a credential of its own and a certificate for its pods, until its Node is deleted', async () => {
  const answer = await joined('edge-1', await hourToken());
  expect(await ownNode(answer)).toBe(200);
  expect(answer.gateway).toBe('https://gateway.test');
  const certificate = new X509Certificate(answer.certificate);
  expect(certificate.verify(new X509Certificate(answer.caCert).publicKey)).toBe(true);
  expect(certificate.checkHost('kubernetes.default.svc')).toBe('kubernetes.default.svc');
  expect(certificate.checkIP('10.96.0.1')).toBe('10.96.0.1');
  await client.delete(NODES, '', 'edge-1');
  now += 1_500;
  expect(await ownNode(answer)).toBe(401);
});

it('does not let the credential of a deleted node serve a new one of the same name', async () => {
  const token = await hourToken();
  const first = await joined('edge-1', token);
  await client.delete(NODES, '', 'edge-1');
  const second = await joined('edge-1', token);
  now += 1_500;
  expect([await ownNode(first), await ownNode(second)]).toEqual([401, 200]);
});

it('renews no credential but its own: who is a node by another issuer gets none that lasts', async () => {
  await joined('edge-1', await hourToken());
  const mapped = { username: 'system:node:edge-1', uid: '', groups: ['system:nodes'], extra: {} };
  const authenticator = {
    authenticate: async (_cluster: string, token?: string) => (token === 'k8s-aws-v1.x' ? mapped : undefined),
  };
  const { api, authority } = plane;
  const certificates = () => Promise.reject(new Error('nothing is issued'));
  app = withJoin(api, { client: plane.client, authority, authenticator, clock, certificates });
  expect((await post('/skiff/v1/renew', 'k8s-aws-v1.x', { node: 'edge-1', request })).status).toBe(401);
  expect((await post('/skiff/v1/bell', 'k8s-aws-v1.x', {})).status).toBe(401);
});

it('takes no name that is in use and none outside the prefix', async () => {
  const token = await hourToken('edge-');
  await joined('edge-1', token);
  expect((await post('/skiff/v1/join', token, { node: 'edge-1', request })).status).toBe(409);
  expect((await post('/skiff/v1/join', token, { node: 'core-1', request })).status).toBe(403);
  expect((await post('/skiff/v1/join', token, { node: 'edge-/x', request })).status).toBe(400);
  expect((await client.list(NODES)).items).toHaveLength(1);
});

it('takes a token only in its hour, while its Secret is there, and in its own cluster', async () => {
  const token = await hourToken();
  const attempt = async (path: string, shown: string) => (await post(path, shown, { node: 'edge-1', request })).status;
  await plane.seed('other');
  expect(await attempt('/clusters/other/skiff/v1/join', token)).toBe(401);
  expect(await attempt('/skiff/v1/join', `${token.slice(0, -1)}${token.endsWith('a') ? 'b' : 'a'}`)).toBe(401);
  expect(await attempt('/skiff/v1/join', '')).toBe(401);
  now += 3_600_001;
  expect(await attempt('/skiff/v1/join', token)).toBe(401);
  const next = await hourToken();
  const left = await client.list(SECRETS, { namespace: 'kube-system' });
  expect(left.items.map((one) => one.metadata.name)).toEqual([`bootstrap-token-${next.split('.')[0]}`]);
  await client.delete(SECRETS, 'kube-system', `bootstrap-token-${next.split('.')[0]}`);
  expect(await attempt('/skiff/v1/join', next)).toBe(401);
});

it('renews a credential for the node that shows it, and for no other', async () => {
  const token = await hourToken();
  const first = await joined('edge-1', token);
  await joined('edge-2', token);
  now += 20 * 86_400_000;
  const answer = await post('/skiff/v1/renew', first.token, { node: 'edge-1', request });
  const second = (await answer.json()) as JoinAnswer;
  expect(second.expires - first.expires).toBe(20 * 86_400);
  expect((await post('/skiff/v1/renew', first.token, { node: 'edge-2', request })).status).toBe(403);
  expect((await post('/skiff/v1/renew', plane.adminToken, { node: 'edge-1', request })).status).toBe(401);
  now += 11 * 86_400_000;
  expect([await ownNode(first), await ownNode(second)]).toEqual([401, 200]);
});

it('signs for the addresses of a front only', async () => {
  const token = await hourToken();
  for (const [subject, names] of [
    [FRONT_SUBJECT, ['api.example']],
    ['system:masters', ['localhost']],
  ] as const) {
    const made = await requestServing(subject, [...names], []);
    const answer = await post('/skiff/v1/join', token, { node: 'edge-1', request: made.request });
    expect(answer.status).toBe(403);
  }
  expect((await post('/skiff/v1/join', token, { node: 'edge-1', request: 'no request' })).status).toBe(400);
  expect((await client.list(NODES)).items).toHaveLength(0);
});
