import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyRule } from '../../../machinery/kinds.d.ts';
import { type Attributes, unionAuthorizer } from '../../authz/authorizer.ts';
import { rbacAuthorizer } from '../../authz/rbac.ts';
import { createStored } from '../../authz/stored-for-tests.ts';
import type { UserInfo } from '../../registry.ts';
import { user } from '../authenticator.ts';
import type { AccessEntry, AuthenticationMode } from './access-entry.ts';
import { awsPolicies } from './aws-policies.ts';
import { awsUser } from './aws-users.ts';
import { readCallerIdentity } from './caller-identity.ts';
import { createAccess } from './cluster-access.ts';

const ACCOUNT = '111122223333';
const ROLE = `arn:aws:iam::${ACCOUNT}:role/Admin`;
const clock = { now: () => 0 };
const policy = (name: string, ...namespaces: string[]) => ({
  policyArn: `arn:aws:eks::aws:cluster-access-policy/AmazonEKS${name}Policy`,
  accessScope: namespaces.length ? { type: 'namespace' as const, namespaces } : { type: 'cluster' as const },
});

let stored: ReturnType<typeof createStored>;
let entries: AccessEntry[];
let mode: AuthenticationMode;
const specs = new Map<string, object>();
const options = () => ({
  replicas: stored.replicas,
  clock,
  // A new object for each state, as it comes out of the store.
  specOf: (cluster: string) => (cluster === 'default' ? currentSpec() : undefined),
  uidOf: () => 'uid',
});
const currentSpec = () => {
  const key = JSON.stringify([entries, mode]);
  const known = specs.get(key) ?? { accessEntries: entries, accessConfig: { authenticationMode: mode } };
  specs.set(key, known);
  return known;
};

const clusterRole = (name: string, ...rules: Partial<PolicyRule>[]) =>
  stored.put('rbac.authorization.k8s.io', 'clusterroles', { metadata: { name }, rules } as never);

beforeEach(async () => {
  stored = createStored({ ...clock, uuid: () => '', sleep: async () => {}, after: () => () => {} } as never);
  entries = [];
  mode = 'API';
  specs.clear();
  await clusterRole('view', { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods', 'namespaces'] });
  await clusterRole('edit', { verbs: ['*'], apiGroups: [''], resources: ['pods'] });
  await clusterRole('admin', {
    verbs: ['*'],
    apiGroups: ['', 'rbac.authorization.k8s.io'],
    resources: ['pods', 'roles'],
  });
});
afterEach(() => stored.replicas.close());

const mary = (): UserInfo => {
  const result = { Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/Admin/mary`, UserId: 'AROA1:mary', Account: ACCOUNT };
  const identity = readCallerIdentity(
    JSON.stringify({ GetCallerIdentityResponse: { GetCallerIdentityResult: result } }),
    'ASIA',
  );
  const access = createAccess(options())('default');
  const found = identity && access && awsUser(access, undefined, identity);
  if (!found) throw new Error('not let in');
  return found;
};
const asked = (by: UserInfo, text: string): Attributes => {
  const [verb = '', what = '', namespace = '', cluster = 'default'] = text.split(' ');
  const [group = '', path = ''] = what.includes('/') && !what.startsWith('/') ? what.split('/') : ['', what];
  const isResource = !what.startsWith('/');
  const [resource = '', subresource = ''] = path.split(':');
  return {
    cluster,
    user: by,
    verb,
    isResource,
    group,
    version: 'v1',
    resource: isResource ? resource : '',
    subresource,
    namespace: namespace === '-' ? '' : namespace,
    name: '',
    path: isResource ? '' : what,
  };
};
const may = async (text: string, by = mary()) => (await awsPolicies(options()).authorize(asked(by, text))).allowed;

const table: [string, ReturnType<typeof policy>[], string[], string[]][] = [
  [
    'ClusterAdmin',
    [policy('ClusterAdmin')],
    [
      'delete nodes',
      'get /metrics',
      'create pods:exec a',
      'escalate rbac.authorization.k8s.io/clusterroles',
      'get a.b/c d',
    ],
    [],
  ],
  [
    'ClusterAdmin in a namespace',
    [policy('ClusterAdmin', 'a')],
    ['delete secrets a', 'create apps/deployments a', 'get namespaces a'],
    ['delete secrets b', 'list secrets', 'get nodes', 'get /metrics', 'get namespaces b', 'list namespaces'],
  ],
  [
    'AdminView',
    [policy('AdminView')],
    ['get secrets a', 'list nodes', 'watch apps/deployments', 'get pods:log a'],
    ['create pods a', 'delete secrets a', 'get /metrics', 'impersonate users', 'create pods:exec a'],
  ],
  [
    'View in namespaces by pattern',
    [policy('View', 'dev-*', 'exact')],
    ['get pods dev-1', 'list pods dev-', 'get pods exact', 'get namespaces dev-1'],
    [
      'get pods dev',
      'get pods a-dev-1',
      'get pods exactly',
      'list pods',
      'create pods dev-1',
      'get secrets dev-1',
      'get /',
    ],
  ],
  ['Edit', [policy('Edit')], ['create pods a', 'list pods'], ['create roles a', 'get namespaces a']],
  [
    'Admin here and View everywhere',
    [policy('Admin', 'a'), policy('View')],
    ['create rbac.authorization.k8s.io/roles a', 'get pods b', 'list pods'],
    ['create rbac.authorization.k8s.io/roles b', 'create pods b'],
  ],
  ['no policy', [], [], ['get pods a', 'get /metrics']],
];

describe('access policies', () => {
  it.each(table)('%s', async (_name, accessPolicies, allowed, refused) => {
    entries = [{ principalArn: ROLE, accessPolicies }];
    for (const text of allowed) expect(await may(text), text).toBe(true);
    for (const text of refused) expect(await may(text), text).toBe(false);
  });

  it('are of the cluster that the entry is in', async () => {
    entries = [{ principalArn: ROLE, accessPolicies: [policy('ClusterAdmin')] }];
    expect(await may('get pods a')).toBe(true);
    expect(await may('get pods a other')).toBe(false);
  });

  it('end with the entry, and where entries do not count', async () => {
    entries = [{ principalArn: ROLE, accessPolicies: [policy('ClusterAdmin')] }];
    const before = mary();
    expect(await may('get pods a', before)).toBe(true);
    entries = [{ principalArn: ROLE }];
    expect(await may('get pods a', before)).toBe(false);
    entries = [{ principalArn: ROLE, accessPolicies: [policy('ClusterAdmin')] }];
    mode = 'CONFIG_MAP';
    expect(await may('get pods a', before)).toBe(false);
  });

  it('are not for others who call themselves so', async () => {
    entries = [{ principalArn: ROLE, principalId: 'AROA1', accessPolicies: [policy('ClusterAdmin')] }];
    const real = mary();
    expect(await may('get pods a', real)).toBe(true);
    const others: UserInfo[] = [
      user(real.username, real.groups),
      user(real.username, real.groups, real.uid),
      user('eve', real.groups, real.uid, real.extra),
      user('', [], '', real.extra),
      user(real.username, [], '', { canonicalArn: [ROLE] }),
      user(real.username, [], '', { ...real.extra, sessionName: ['eve'] }),
      user(real.username, [], '', { ...real.extra, principalId: ['AROA9'] }),
      user(real.username, [], '', { ...real.extra, arn: [`arn:aws:sts::${ACCOUNT}:assumed-role/Eve/mary`] }),
      // As impersonation writes them: the keys of headers are in lower case.
      user(real.username, [], '', Object.fromEntries(Object.entries(real.extra).map(([k, v]) => [k.toLowerCase(), v]))),
    ];
    for (const other of others) expect(await may('get pods a', other)).toBe(false);
  });

  it('count where users may give no more than they have', async () => {
    entries = [{ principalArn: ROLE, accessPolicies: [policy('View', 'dev-*'), policy('ClusterAdmin', 'own')] }];
    const authorizer = unionAuthorizer(rbacAuthorizer({ replicas: stored.replicas, clock }), awsPolicies(options()));
    const rules = async (namespace: string) => (await authorizer.rulesFor('default', mary(), namespace)).rules;
    expect(await rules('')).toEqual([]);
    expect(await rules('dev-1')).toEqual([
      { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods', 'namespaces'] },
    ]);
    // Paths are of no namespace.
    expect(await rules('own')).toEqual([{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
    expect(await rules('other')).toEqual([]);
    expect(await authorizer.rulesFor('default', user('bob', []), 'own')).toEqual({ rules: [] });
  });

  it('follow the roles of the cluster', async () => {
    entries = [{ principalArn: ROLE, accessPolicies: [policy('View')] }];
    expect(await may('get a.b/things n')).toBe(false);
    await clusterRole('view', { verbs: ['get'], apiGroups: ['a.b'], resources: ['things'] });
    expect(await may('get a.b/things n')).toBe(true);
    await stored.remove('rbac.authorization.k8s.io', 'clusterroles', 'view');
    expect(await may('get a.b/things n')).toBe(false);
  });
});
