import { afterAll, beforeAll, expect, it } from 'vitest';
import { presignToken } from '../../../cli/aws/presigned-token.ts';
import { type FakeSts, startFakeSts } from '../../../test/aws/fake-sts.ts';
import { parseConfiguration } from '../../apiserver/configuration.ts';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { type CloudPlane, createCloudPlane } from './plane.ts';

const USER = 'arn:aws:iam::111122223333:user/bob';
const POLICY = 'arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy';
let sts: FakeSts;
let plane: CloudPlane;

beforeAll(async () => {
  sts = await startFakeSts({ AKEY: { secret: 's', arn: USER, userId: 'AIDA1' } });
  const text = JSON.stringify({
    apiVersion: 'skiff.dev/v1',
    kind: 'AWSIdentityConfiguration',
    clusterId: 'main',
    accessEntries: [{ principalArn: USER, username: 'the-operator' }],
    sts: { endpoint: sts.origin },
  });
  const configuration = await parseConfiguration([{ name: 'aws', text }]);
  const { subscribe: _, ...store } = createMemoryStore();
  plane = await createCloudPlane({
    store,
    clock: createSystemClock(),
    configured: () => configuration,
    log: (line) => expect.unreachable(line),
  });
  await plane.seed('default');
});
afterAll(async () => {
  plane.fleet.close();
  await plane.replicas.close();
  await sts.close();
});

const ask = async (path: string, token: string, body?: object) => {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const init = { headers, ...(body && { method: 'POST', body: JSON.stringify(body) }) };
  const response = await plane.api.fetch(new Request(`https://x${path}`, init));
  return { status: response.status, body: await response.json() };
};
const tokenFor = async (clusterId: string) => {
  const credentials = { accessKeyId: 'AKEY', secretAccessKey: 's' };
  const request = { clusterId, region: 'eu-north-1', endpoint: sts.origin, credentials, now: Date.now() };
  return (await presignToken(request)).token;
};
const whoAmI = (prefix: string, token: string) =>
  ask(`${prefix}/apis/authentication.k8s.io/v1/selfsubjectreviews`, token, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  });

it('principals of AWS come into the clusters of a deployment, each by its own entries', async () => {
  const made = await ask('/clusters/system/apis/skiff.dev/v1/clusters', plane.adminToken, {
    apiVersion: 'skiff.dev/v1',
    kind: 'Cluster',
    metadata: { name: 'team-a' },
    spec: {
      accessEntries: [
        {
          principalArn: USER,
          username: 'bob-of-a',
          accessPolicies: [{ policyArn: POLICY, accessScope: { type: 'cluster' } }],
        },
      ],
    },
  });
  expect(made.status).toBe(201);
  const main = await tokenFor('main');
  const own = await tokenFor(made.body.metadata.uid);
  const names: unknown[] = [];
  for (const [prefix, token] of [
    ['', main],
    ['/clusters/team-a', own],
  ] as const)
    names.push((await whoAmI(prefix, token)).body.status.userInfo.username);
  expect(names).toEqual(['the-operator', 'bob-of-a']);
  for (const [prefix, token] of [
    ['/clusters/team-a', main],
    ['/clusters/system', main],
    ['', own],
    ['/clusters/system', own],
  ] as const)
    expect((await whoAmI(prefix, token)).status).toBe(401);
  expect((await ask('/api/v1/nodes', main)).status).toBe(403);
  expect((await ask('/clusters/team-a/api/v1/nodes', own)).status).toBe(200);
});
