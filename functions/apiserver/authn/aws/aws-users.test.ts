import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { AccessEntry } from './access-entry.ts';
import { accessEntrySchema } from './access-entry-schema.ts';
import { readAwsAuth } from './aws-auth.ts';
import { awsUser } from './aws-users.ts';
import type { CallerIdentity } from './caller-identity.ts';
import { readCallerIdentity } from './caller-identity.ts';
import { createAccess } from './cluster-access.ts';
import { entryWith, wrongEntries } from './entries-for-tests.ts';

const identity = (arn: string, userId: string): CallerIdentity => {
  const [, , , , account] = arn.split(':');
  const result = { Arn: arn, UserId: userId, Account: account };
  const found = readCallerIdentity(
    JSON.stringify({ GetCallerIdentityResponse: { GetCallerIdentityResult: result } }),
    'ASIAEXAMPLE',
  );
  if (!found) throw new Error(`no identity: ${arn}`);
  return found;
};
const ACCOUNT = '111122223333';
const mary = identity(`arn:aws:sts::${ACCOUNT}:assumed-role/Admin/mary@example.com`, 'AROA1:mary@example.com');
const node = identity(`arn:aws:sts::${ACCOUNT}:assumed-role/Node/i-0123456789abcdef0`, 'AROA2:i-0123456789abcdef0');
const bob = identity(`arn:aws:iam::${ACCOUNT}:user/people/Bob`, 'AIDA1');
const root = identity(`arn:aws:iam::${ACCOUNT}:root`, ACCOUNT);

const accessOf = (accessEntries: AccessEntry[], authenticationMode = 'API_AND_CONFIG_MAP' as const) => {
  const access = createAccess({
    specOf: () => ({ accessEntries, accessConfig: { authenticationMode } }),
    uidOf: () => 'u',
  });
  const found = access('tenant');
  if (!found) throw new Error('no access');
  return found;
};
const told = (entries: AccessEntry[], data: Record<string, string> | undefined, who: CallerIdentity) => {
  const user = awsUser(accessOf(entries), readAwsAuth(data), who);
  return user && `${user.username} [${user.groups.filter((group) => group !== 'system:authenticated').join(' ')}]`;
};

describe('aws-auth', () => {
  const ROLE = `arn:aws:iam::${ACCOUNT}:role/Admin`;
  it.each<[string, Record<string, string>, CallerIdentity, string | undefined]>([
    ['nothing', {}, mary, undefined],
    [
      'a role',
      { mapRoles: `- rolearn: ${ROLE}\n  username: admin\n  groups: [system:masters]` },
      mary,
      'admin [system:masters]',
    ],
    ['fields in any case', { mapRoles: `- rOlEaRn: ${ROLE}\n  UsErNaMe: admin\n  gRoUpS: [a]` }, mary, 'admin [a]'],
    [
      'JSON',
      { mapRoles: JSON.stringify([{ rolearn: ROLE, username: 'admin', groups: ['a', 'b'] }]) },
      mary,
      'admin [a b]',
    ],
    ['keys in another case', { maproles: `- rolearn: ${ROLE}\n  username: admin` }, mary, undefined],
    ['an ARN in another case', { mapRoles: `- rolearn: ${ROLE.toLowerCase()}\n  username: admin` }, mary, 'admin []'],
    [
      'a role with a path',
      { mapRoles: `- rolearn: ${ROLE.replace('Admin', 'a/Admin')}\n  username: admin` },
      mary,
      undefined,
    ],
    ['a session', { mapRoles: `- rolearn: ${mary.arn}\n  username: admin` }, mary, undefined],
    ['a role among users', { mapUsers: `- userarn: ${ROLE}\n  username: admin` }, mary, 'admin []'],
    ['a user', { mapUsers: `- userarn: ${bob.arn}\n  username: bob\n  groups:\n  - ops` }, bob, 'bob [ops]'],
    ['root', { mapUsers: `- userarn: ${root.arn}\n  username: root` }, root, 'root []'],
    [
      'roles first',
      { mapRoles: `- rolearn: ${ROLE}\n  username: a`, mapUsers: `- userarn: ${ROLE}\n  username: b` },
      mary,
      'a []',
    ],
    [
      'the last of two',
      { mapRoles: `- rolearn: ${ROLE}\n  username: a\n- rolearn: ${ROLE}\n  username: b` },
      mary,
      'b []',
    ],
    ['no username', { mapRoles: `- rolearn: ${ROLE}\n  groups: [a]` }, mary, `${ROLE} [a]`],
    ['no groups', { mapRoles: `- rolearn: ${ROLE}\n  username: a\n  groups:` }, mary, 'a []'],
    ['a number for a name', { mapRoles: `- rolearn: ${ROLE}\n  username: 0123` }, mary, '0123 []'],
    [
      'templates',
      {
        mapRoles: `- rolearn: ${ROLE}\n  username: "{{AccountID}}:{{SessionName}}:{{SessionNameRaw}}:{{AccessKeyID}}:{{UserID}}"\n  groups: ["g:{{SessionName}}"]`,
      },
      mary,
      `${ACCOUNT}:mary-example.com:mary@example.com:ASIAEXAMPLE:AROA1 [g:mary-example.com]`,
    ],
    ['an unknown template', { mapRoles: `- rolearn: ${ROLE}\n  username: "a:{{Nothing}}"` }, mary, 'a:{{Nothing}} []'],
    ['the session of a user', { mapUsers: `- userarn: ${bob.arn}\n  username: "a:{{SessionName}}"` }, bob, undefined],
    [
      'the DNS name of an instance',
      {
        mapRoles: `- rolearn: arn:aws:iam::${ACCOUNT}:role/Node\n  username: system:node:{{EC2PrivateDNSName}}\n  groups: [system:nodes]`,
      },
      node,
      undefined,
    ],
    ['an account', { mapAccounts: `- "${ACCOUNT}"` }, bob, `${bob.arn} []`],
    ['an account as a number', { mapAccounts: `- ${ACCOUNT}` }, mary, `${ROLE} []`],
    ['another account', { mapAccounts: '- 012345678901' }, mary, undefined],
    [
      'an entry out of its form beside a good one',
      {
        mapRoles: `- 7\n- [a]\n- {}\n- rolearn: [b]\n- rolearn: ${ROLE}\n  groups: {a: b}\n- rolearn: ${ROLE}\n  username: a`,
      },
      mary,
      'a []',
    ],
    ['groups that are none', { mapRoles: `- rolearn: ${ROLE}\n  username: a\n  groups: [[b]]` }, mary, undefined],
    [
      'more than is read',
      { mapRoles: `- rolearn: ${ROLE}\n  username: a\n${'# more\n'.repeat(20_000)}` },
      mary,
      undefined,
    ],
    ['brackets without end', { mapRoles: '['.repeat(9_000) }, mary, undefined],
    ['brackets that do not close', { mapRoles: '- ['.repeat(7_000) }, mary, undefined],
    ['no list', { mapRoles: `rolearn: ${ROLE}` }, mary, undefined],
    ['no YAML', { mapRoles: '- rolearn: "' }, mary, undefined],
    ['quotes alone', { mapRoles: "''", mapUsers: '``', mapAccounts: '""' }, mary, undefined],
    [
      'broken roles beside good users',
      { mapRoles: '{', mapUsers: `- userarn: ${bob.arn}\n  username: bob` },
      bob,
      'bob []',
    ],
    [
      'aliases that grow',
      { mapRoles: `- &a [x,x]\n- &b [*a,*a]\n- [*b,*b]\n- rolearn: ${ROLE}\n  username: a` },
      mary,
      undefined,
    ],
    ['a name of the prototype', { mapRoles: `- __proto__: {rolearn: ${ROLE}}\n  username: a` }, mary, undefined],
    [
      'single sign-on',
      { mapRoles: `- sso: {permissionSetName: P, accountID: "${ACCOUNT}"}\n  username: a` },
      mary,
      undefined,
    ],
  ])('%s', (_what, data, who, expected) => {
    expect(told([], data, who)).toBe(expected);
  });
});

describe('access entries', () => {
  const role = (name: string) => `arn:aws:iam::${ACCOUNT}:role/${name}`;
  it.each<[string, AccessEntry, CallerIdentity, string | undefined]>([
    ['a role', { principalArn: role('Admin') }, mary, `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/mary-example.com []`],
    [
      'a role with a path',
      { principalArn: role('dev/apps/Admin') },
      mary,
      `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/mary-example.com []`,
    ],
    ['another role', { principalArn: role('Admins') }, mary, undefined],
    ['a role of another account', { principalArn: role('Admin').replace(ACCOUNT, '999999999999') }, mary, undefined],
    ['a role of another partition', { principalArn: role('Admin').replace('aws', 'aws-cn') }, mary, undefined],
    ['a user', { principalArn: bob.arn, kubernetesGroups: ['ops', 'dev'] }, bob, `${bob.arn} [ops dev]`],
    ['a user without its path', { principalArn: `arn:aws:iam::${ACCOUNT}:user/Bob` }, bob, undefined],
    ['a role of the same name', { principalArn: role('Bob') }, bob, undefined],
    ['a username', { principalArn: bob.arn, username: 'bob' }, bob, 'bob []'],
    [
      'a session',
      { principalArn: role('Admin'), username: 'team:{{SessionNameRaw}}' },
      mary,
      'team:mary@example.com []',
    ],
    ['the id of the principal', { principalArn: role('Admin'), principalId: 'AROA1', username: 'a' }, mary, 'a []'],
    ['the id of an earlier one', { principalArn: role('Admin'), principalId: 'AROA9', username: 'a' }, mary, undefined],
    [
      'a node of EC2',
      { principalArn: role('Node'), type: 'EC2' },
      node,
      'system:node:i-0123456789abcdef0 [system:bootstrappers system:nodes]',
    ],
    ['no instance', { principalArn: role('Admin'), type: 'EC2' }, mary, undefined],
    [
      'a hybrid node',
      { principalArn: role('Node'), type: 'HYBRID_LINUX' },
      node,
      'system:node:i-0123456789abcdef0 [system:bootstrappers system:nodes]',
    ],
    ['a node that is called by its DNS name', { principalArn: role('Node'), type: 'EC2_LINUX' }, node, undefined],
  ])('%s', (_what, entry, who, expected) => {
    expect(accessEntrySchema.safeParse(entry).error).toBeUndefined();
    expect(told([entry], undefined, who)).toBe(expected);
  });

  it.each(wrongEntries)('let nobody in with %s', (_what, changes) => {
    const entry = entryWith(changes);
    const entries = [entry, { principalArn: bob.arn, username: 'bob' }];
    expect(accessEntrySchema.safeParse(entry).success).toBe(false);
    if (entry.principalArn === bob.arn) return;
    for (const who of [mary, root, node]) expect(told(entries, undefined, who)).toBeUndefined();
    expect(told(entries, undefined, bob)).toBe('bob []');
  });

  it('decide before aws-auth, also where they refuse; of two of a principal neither counts', () => {
    const data = { mapRoles: `- rolearn: ${role('Admin')}\n  username: a` };
    expect(told([{ principalArn: role('Admin'), username: 'b' }], data, mary)).toBe('b []');
    expect(told([{ principalArn: role('Admin'), principalId: 'AROA9' }], data, mary)).toBeUndefined();
    const twice = [
      { principalArn: role('Admin'), username: 'b' },
      { principalArn: role('x/admin'), username: 'c' },
    ];
    expect(told(twice, undefined, mary)).toBeUndefined();
  });

  it('are YAML as EKS writes them', () => {
    const text = `
principalArn: arn:aws:iam::111122223333:role/my-role
kubernetesGroups: [Viewers]
accessPolicies:
  - policyArn: arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy
    accessScope: { type: namespace, namespaces: [my-namespace1, dev-*] }`;
    expect(accessEntrySchema.safeParse(parse(text)).error).toBeUndefined();
  });
});
