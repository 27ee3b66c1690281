import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createTestProcess } from '../../fleet/server-for-tests.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { accessEntrySchema } from '../authn/aws/access-entry-schema.ts';
import { entryWith, wrongEntries } from '../authn/aws/entries-for-tests.ts';

let plane: Awaited<ReturnType<typeof createTestProcess>>;
let count = 0;
const make = (spec: object) => plane.makeCluster(`c-${count++}`, spec);
const policy = (name: string, accessScope: object = { type: 'cluster' }) => ({
  policyArn: `arn:aws:eks::aws:cluster-access-policy/AmazonEKS${name}Policy`,
  accessScope,
});

beforeAll(async () => {
  plane = await createTestProcess(createMemoryStore(), createSystemClock(), true);
});
afterAll(() => plane.close());

describe('a Cluster', () => {
  it.each(wrongEntries)('takes no access entry with %s', async (what, changes) => {
    const { status, body } = await make({ accessEntries: [entryWith(changes)] });
    // What is no field of an entry is left out, as of any object.
    if (what !== 'an unknown field') expect(status, JSON.stringify(body)).toBe(422);
    else expect(body.spec.accessEntries).toEqual([entryWith({})]);
  });

  it.each<[string, object]>([
    ['a username', {}],
    ['a session', { username: 'team:{{SessionName}}' }],
    ['a raw session', { username: ':{{SessionNameRaw}}' }],
    ['an account', { username: '{{AccountID}}' }],
    ['groups', { kubernetesGroups: ['ops', 'dev:{{SessionName}}'] }],
    ['a node', { type: 'EC2' }],
    ['the id of the principal', { principalId: 'AROAEXAMPLE' }],
    [
      'policies',
      { accessPolicies: [policy('ClusterAdmin'), policy('View', { type: 'namespace', namespaces: ['a-*'] })] },
    ],
    [
      'a role of single sign-on',
      { principalArn: 'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_A_1' },
    ],
    ['a user', { principalArn: 'arn:aws-cn:iam::111122223333:user/a/b@c' }],
  ])('takes an access entry with %s', async (_what, changes) => {
    const entry = entryWith(changes);
    expect(accessEntrySchema.safeParse(entry).error).toBeUndefined();
    const { status, body } = await make({ accessEntries: [entry] });
    expect(status, JSON.stringify(body)).toBe(201);
    expect(body.spec.accessEntries).toEqual([entry]);
  });

  it('has one entry for a principal, one mode, and an id of the form of names', async () => {
    expect((await make({ accessEntries: [entryWith({}), entryWith({})] })).status).toBe(422);
    expect((await make({ accessConfig: { authenticationMode: 'IAM' } })).status).toBe(422);
    expect((await make({ accessConfig: { clusterId: 'a.system' } })).status).toBe(422);
    expect((await make({ accessConfig: { clusterId: 'a', authenticationMode: 'API' } })).status).toBe(201);
  });
});
