import { expect, it } from 'vitest';
import type { Reader } from '../client/reader.ts';
import type { Secret, ServiceAccount } from '../machinery/kinds.d.ts';
import { createTokenSecretController } from './token-secrets.ts';

const secret = (data: Record<string, string> = {}, uid?: string): Secret => ({
  metadata: {
    name: 't',
    namespace: 'n',
    uid: 's',
    resourceVersion: '1',
    annotations: {
      'kubernetes.io/service-account.name': 'x',
      ...(uid !== undefined && { 'kubernetes.io/service-account.uid': uid }),
    },
  },
  type: 'kubernetes.io/service-account-token',
  data,
});
const account: ServiceAccount = { metadata: { name: 'x', namespace: 'n', uid: 'a' } };
const controller = createTokenSecretController({
  rootCa: () => 'CA',
  signSecretToken: async (_cluster, subject) => `token of ${subject.serviceAccount.uid} in ${subject.secret.name}`,
});
const plan = async (of: Secret, who: ServiceAccount | undefined) => {
  const read = {
    cluster: 'c',
    get: async (resource: { resource: string }) => (resource.resource === 'secrets' ? of : who),
    fresh: async () => {},
  } as unknown as Reader;
  const seen = await controller.observe(read, { namespace: 'n', name: 't' });
  return seen ? controller.decide(seen, 0).writes : [];
};
const text = (value: string) => Buffer.from(value).toString('base64');
const whole = { 'ca.crt': text('CA'), namespace: text('n'), token: text('kept') };

it('fills what is empty, and leaves what is whole', async () => {
  expect(await plan(secret(), account)).toMatchObject([
    {
      op: 'patch',
      merge: {
        data: { 'ca.crt': text('CA'), namespace: text('n'), token: text('token of a in t') },
        metadata: { annotations: { 'kubernetes.io/service-account.uid': 'a' } },
      },
    },
  ]);
  expect(await plan(secret(whole, 'a'), account)).toEqual([]);
  expect(await plan(secret({ ...whole, 'ca.crt': text('old') }, 'a'), account)).toMatchObject([
    { merge: { data: { 'ca.crt': text('CA') } } },
  ]);
});

it('removes a secret whose account is gone, or is another one by now', async () => {
  expect(await plan(secret(whole, 'a'), undefined)).toMatchObject([{ op: 'delete' }]);
  expect(await plan(secret(whole, 'before'), account)).toMatchObject([{ op: 'delete' }]);
});

it('leaves other secrets alone', async () => {
  expect(await plan({ ...secret(), type: 'Opaque' }, account)).toEqual([]);
});
