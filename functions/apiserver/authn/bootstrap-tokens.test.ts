import { expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createStored } from '../authz/stored-for-tests.ts';
import { bootstrapTokens } from './bootstrap-tokens.ts';

const clock = createSystemClock();
const stored = createStored(clock);
const tokens = bootstrapTokens(stored.store, clock);
const [ID, SECRET] = ['abcdef', '0123456789abcdef'];
const who = (token = `${ID}.${SECRET}`, cluster = 'default') => tokens.authenticate(cluster, token, {});

const after = (ms: number) => new Date(clock.now() + ms).toISOString();
const good = { 'token-id': ID, 'token-secret': SECRET, 'usage-bootstrap-authentication': 'true' };
const secret = (data: Record<string, string>, more: object = {}, metadata: object = {}) => ({
  metadata: { namespace: 'kube-system', name: `bootstrap-token-${ID}`, ...metadata },
  type: 'bootstrap.kubernetes.io/token',
  data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
  ...more,
});

it.each<[string, object, string[] | undefined]>([
  ['a token', secret(good), ['system:bootstrappers', 'system:authenticated']],
  ['one that ends later', secret({ ...good, expiration: after(60_000) }), expect.anything()],
  ['one that has ended', secret({ ...good, expiration: after(-1) }), undefined],
  ['one that ends at no time', secret({ ...good, expiration: 'tomorrow' }), undefined],
  ['one that ends at a time of another form', secret({ ...good, expiration: '2099-01-01' }), undefined],
  ['one for signing only', secret({ ...good, 'usage-bootstrap-authentication': 'false' }), undefined],
  ['one with another secret', secret({ ...good, 'token-secret': '0123456789abcdee' }), undefined],
  ['one with no secret', secret({ ...good, 'token-secret': '' }), undefined],
  ['one with another id', secret({ ...good, 'token-id': 'abcdeg' }), undefined],
  ['a secret of another type', secret(good, { type: 'Opaque' }), undefined],
  ['one without data', { ...secret({}), data: undefined }, undefined],
  ['one that is being deleted', secret(good, {}, { deletionTimestamp: after(0) }), undefined],
  [
    'groups, sorted',
    secret({ ...good, 'auth-extra-groups': 'system:bootstrappers:z,system:bootstrappers:a:b' }),
    ['system:bootstrappers', 'system:bootstrappers:a:b', 'system:bootstrappers:z', 'system:authenticated'],
  ],
  ['groups that it may not give', secret({ ...good, 'auth-extra-groups': 'system:masters' }), undefined],
  ['an empty group', secret({ ...good, 'auth-extra-groups': 'system:bootstrappers:a,' }), undefined],
])('%s', async (_name, object, groups) => {
  await stored.put('', 'secrets', object as never);
  expect(await who()).toEqual(groups && { username: `system:bootstrap:${ID}`, uid: '', groups, extra: {} });
});

it('counts in its own cluster, in its own form, as long as it is there', async () => {
  await stored.put('', 'secrets', secret(good) as never);
  expect(await who()).toBeDefined();
  expect(await who(undefined, 'other')).toBeUndefined();
  for (const token of [
    '',
    'abcdef',
    `${ID}.${SECRET}x`,
    ` ${ID}.${SECRET}`,
    `${ID}.${SECRET}\n`,
    'ABCDEF.0123456789abcdef',
  ])
    expect(await who(token)).toBeUndefined();
  await stored.remove('', 'secrets', `kube-system/bootstrap-token-${ID}`);
  expect(await who()).toBeUndefined();
});
