import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { createAuditedServer } from '../apiserver/audit/server-for-tests.ts';
import { plainResponse } from '../apiserver/plain-response.ts';
import { auditedOperations } from './operator-requests.ts';

const rules = [{ level: 'Metadata', nonResourceURLs: ['/skiff.dev/*'] }, { level: 'None' }];
const ask = (path: string, token?: string) =>
  new Request(`https://x${path}`, { headers: token ? { authorization: `Bearer ${token}` } : {} });

it('tells of what the operator asks for beside the API, from its begin to its end', async () => {
  const { app, events } = await createAuditedServer({ policy: { rules } });
  const body = Readable.from([Buffer.from('a snapshot')]);
  const operate = auditedOperations(app.server, async () => plainResponse({ status: 200, headers: {}, body }));
  const response = await operate(ask('/skiff.dev/snapshots/default', 'admintoken'), { remoteAddress: '10.0.0.9' });
  expect(events().map(({ stage }) => stage)).toEqual(['RequestReceived']);
  expect(await response?.text()).toBe('a snapshot');
  await expect.poll(() => events().length).toBe(2);
  expect(events()[1]).toMatchObject({
    stage: 'ResponseComplete',
    requestURI: '/skiff.dev/snapshots/default',
    verb: 'get',
    sourceIPs: ['10.0.0.9'],
    responseStatus: { code: 200 },
    annotations: { 'authorization.k8s.io/decision': 'allow' },
  });
});

it('tells of whoever is refused, and of failures', async () => {
  const { app, events } = await createAuditedServer({ policy: { rules } });
  const refuse = auditedOperations(app.server, async () => plainResponse({ status: 401, headers: {}, body: '' }));
  expect((await refuse(ask('/skiff.dev/keys', 'wrong')))?.status).toBe(401);
  expect(events()).toMatchObject([{ stage: 'ResponseStarted', user: {}, responseStatus: { code: 401 } }]);
  await refuse(ask('/skiff.dev/keys', 'usertoken'));
  expect(events()[2]).toMatchObject({
    user: { username: 'alice' },
    responseStatus: { code: 401 },
    annotations: { 'authorization.k8s.io/decision': 'forbid' },
  });
  const fail = auditedOperations(app.server, () => Promise.reject(new Error('the disk is full')));
  const failed = await fail(ask('/skiff.dev/keys', 'admintoken'));
  expect(failed?.status).toBe(500);
  expect(events().at(-1)).toMatchObject({ stage: 'Panic', responseStatus: { code: 500 } });
});

it('does nothing where an event has to be kept and cannot be', async () => {
  const { app } = await createAuditedServer({ policy: { rules }, process: () => false });
  let done = false;
  const operate = auditedOperations(app.server, async () => {
    done = true;
    return undefined;
  });
  expect((await operate(ask('/skiff.dev/keys', 'admintoken')))?.status).toBe(500);
  expect(done).toBe(false);
});

it('leaves other paths to those who answer them', async () => {
  const { app, events } = await createAuditedServer({ policy: { rules } });
  const operate = auditedOperations(app.server, async () => undefined);
  expect(await operate(ask('/apis/skiff.dev/v1/clusters', 'admintoken'))).toBeUndefined();
  expect(await operate(ask('/skiff.dev/join', 'admintoken'))).toBeUndefined();
  expect(events()).toEqual([]);
});
