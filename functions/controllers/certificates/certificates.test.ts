import { expect, it } from 'vitest';
import type { Reader } from '../../client/reader.ts';
import type { CertificateSigningRequest } from '../../machinery/kinds.d.ts';
import { createKubeletApprovalController } from './approve.ts';
import { cleanAt, requestCleanupController } from './clean.ts';
import {
  type CertificateAuthority,
  type CertificateRequest,
  CLIENT,
  KUBELET_CLIENT,
  KUBELET_SERVING,
  signers,
} from './requests.ts';
import { createSigningController } from './signer.ts';

const node: CertificateRequest = {
  commonName: 'system:node:x',
  organizations: ['system:nodes'],
  dnsNames: [],
  emails: [],
  addresses: [],
  uris: [],
};
const client = ['digital signature', 'client auth'];
const serving = ['digital signature', 'key encipherment', 'server auth'];
const addressed = { ...node, addresses: ['10.0.0.1'] };

it.each([
  [KUBELET_CLIENT, node, client, true],
  [KUBELET_CLIENT, node, [...client, 'key encipherment'], true],
  [KUBELET_CLIENT, node, ['client auth'], false],
  [KUBELET_CLIENT, { ...node, organizations: ['system:nodes', 'more'] }, client, false],
  [KUBELET_CLIENT, { ...node, commonName: 'x' }, client, false],
  [KUBELET_CLIENT, addressed, client, false],
  [KUBELET_SERVING, addressed, serving, true],
  [KUBELET_SERVING, node, serving, false],
  [KUBELET_SERVING, { ...addressed, uris: ['spiffe://x'] }, serving, false],
  [KUBELET_SERVING, addressed, client, false],
  [CLIENT, { ...node, organizations: ['any'] }, client, true],
  [CLIENT, node, ['digital signature'], false],
  [CLIENT, node, [...client, 'server auth'], false],
])('%s with %j and %j: %s', (signer, request, usages, good) => {
  expect(signers[signer]?.(request, usages) === undefined).toBe(good);
});

it('knows no other signer', () => expect(signers['example.com/x']).toBeUndefined());

const AT = '2026-01-01T00:00:00Z';
const csr = (signerName: string, conditions: string[] = [], more: object = {}): CertificateSigningRequest => ({
  metadata: { name: 'r', uid: 'u', creationTimestamp: AT },
  spec: { request: Buffer.from('pem').toString('base64'), signerName, usages: client, username: 'system:node:x' },
  status: { conditions: conditions.map((type) => ({ type, status: 'True', lastUpdateTime: AT })), ...more },
});
const reading = (object: CertificateSigningRequest) => ({ cluster: 'c', get: async () => object }) as unknown as Reader;
const certificates: CertificateAuthority = { parse: async () => node, sign: async (pem) => `signed ${pem}` };
const key = { namespace: '', name: 'r' };

it('signs what was approved, once', async () => {
  const controller = createSigningController({ certificates });
  const look = (object: CertificateSigningRequest) => controller.observe(reading(object), key);
  expect(await look(csr(KUBELET_CLIENT, ['Approved']))).toMatchObject({ issued: { certificate: 'signed pem' } });
  expect(await look(csr(KUBELET_CLIENT))).toBeUndefined();
  expect(await look(csr(KUBELET_CLIENT, ['Approved', 'Denied']))).toBeUndefined();
  expect(await look(csr(KUBELET_CLIENT, ['Approved', 'Failed']))).toBeUndefined();
  expect(await look(csr('example.com/x', ['Approved']))).toBeUndefined();
  expect(await look(csr(KUBELET_CLIENT, ['Approved'], { certificate: 'YQ==' }))).toBeUndefined();
  const refused = await look(csr(KUBELET_SERVING, ['Approved']));
  const [write] = refused ? controller.decide(refused, Date.parse(AT)).writes : [];
  expect(write).toMatchObject({
    subresource: 'status',
    object: { status: { conditions: [{ type: 'Approved' }, { type: 'Failed', reason: 'SignerValidationFailure' }] } },
  });
});

it('approves a kubelet only where the requester holds the right', async () => {
  const asked: string[] = [];
  const controller = createKubeletApprovalController({
    certificates,
    mayCreate: async (_cluster, _request, right) => {
      asked.push(right);
      return right === 'nodeclient';
    },
  });
  const seen = await controller.observe(reading(csr(KUBELET_CLIENT)), key);
  expect(asked).toEqual(['selfnodeclient', 'nodeclient']);
  expect(seen && controller.decide(seen, Date.parse(AT)).writes[0]).toMatchObject({
    subresource: 'approval',
    object: { status: { conditions: [{ type: 'Approved', reason: 'AutoApproved' }] } },
  });
  const never = createKubeletApprovalController({ certificates, mayCreate: async () => false });
  expect(await never.observe(reading(csr(KUBELET_CLIENT)), key)).toBeUndefined();
  expect(await controller.observe(reading(csr(CLIENT)), key)).toBeUndefined();
});

it('removes what is settled after an hour, what is not after a day', () => {
  const hours = (object: CertificateSigningRequest) => (cleanAt(object) - Date.parse(AT)) / 3_600_000;
  expect(hours(csr(CLIENT))).toBe(24);
  expect(hours(csr(CLIENT, ['Denied']))).toBe(1);
  expect(hours(csr(CLIENT, ['Approved']))).toBe(24);
  expect(hours(csr(CLIENT, ['Approved'], { certificate: 'YQ==' }))).toBe(1);
  const old = csr(CLIENT, ['Failed']);
  expect(requestCleanupController.decide(old, Date.parse(AT) + 3_500_000).again).toEqual({ afterMs: 100_000 });
  expect(requestCleanupController.decide(old, Date.parse(AT) + 3_600_000).writes[0]?.op).toBe('delete');
});
