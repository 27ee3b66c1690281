// The controllers that need something of the process they run in: an authority, a signer of tokens.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from '../../functions/entry/local.ts';
import type { CertificateSigningRequest, Secret } from '../../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../../functions/machinery/object.ts';
import { requestOf } from '../replay/controllers/certificates.ts';

const scratch = mkdtempSync(join(tmpdir(), 'skiff-background-'));
let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane({ directory: scratch, host: '127.0.0.1', port: 0, log: () => {} });
});
afterAll(async () => {
  await plane?.close();
  rmSync(scratch, { recursive: true, force: true });
});

const core = (resource: string) => ({ group: '', version: 'v1', resource });
const requests = { group: 'certificates.k8s.io', version: 'v1', resource: 'certificatesigningrequests' };

const until = async <T>(look: () => Promise<T | undefined>): Promise<T> => {
  for (const end = Date.now() + 5000; Date.now() < end; ) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it did not come about');
};

it('fills a token secret with a token that is good until the secret goes', async () => {
  const client = plane.client('default');
  const annotations = { 'kubernetes.io/service-account.name': 'default' };
  await client.create<Secret>(core('secrets'), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 't', namespace: 'default', annotations },
    type: 'kubernetes.io/service-account-token',
  });
  const token = await until(async () => (await client.get<Secret>(core('secrets'), 'default', 't'))?.data?.token);
  const own = plane.client('default', Buffer.from(token, 'base64').toString());
  const review = { group: 'authentication.k8s.io', version: 'v1', resource: 'selfsubjectreviews' };
  const whoami = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview', metadata: {} };
  const answer = await own.create<KubeObject & { status?: { userInfo?: { username?: string } } }>(review, whoami);
  expect(answer.status?.userInfo?.username).toBe('system:serviceaccount:default:default');
  await client.delete(core('secrets'), 'default', 't');
  const refused = () =>
    own.create(review, whoami).then(
      () => undefined,
      (error: { code?: number }) => error.code,
    );
  expect(await until(refused)).toBe(401);
});

it('approves and signs a kubelet whose requester may ask for it', async () => {
  const client = plane.client('default');
  const request = await requestOf('<csr /O=system:nodes/CN=system:node:x>');
  await client.create<CertificateSigningRequest>(requests, {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'node-x' },
    spec: {
      request,
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['digital signature', 'client auth'],
    },
  });
  const found = await until(async () => {
    const csr = await client.get<CertificateSigningRequest>(requests, '', 'node-x');
    return csr?.status?.certificate ? csr : undefined;
  });
  expect(found.status?.conditions?.map((c) => c.reason)).toEqual(['AutoApproved']);
});
