import { describe, expect, it } from 'vitest';
import { type Authorizer, mastersAuthorizer } from '../authz/authorizer.ts';
import { requestInfo } from '../request-info.ts';
import { user } from './authenticator.ts';
import { impersonate } from './impersonation.ts';

type Given = [string, string][];

const admin = user('admin', ['system:masters']);
const bob = user('bob', []);
const info = requestInfo('GET', 'https://server/apis/apps/v1/namespaces/n/deployments/x');
const on = (headers: Given) => ({ headers: new Headers(), rawHeaders: headers.flat() });

/** Remembers what it is asked, and allows some of it. */
const only = (...allowed: string[]): Authorizer & { asked: string[] } => {
  const asked: string[] = [];
  return {
    asked,
    authorize: async (a) => {
      const resource = `${a.group}/${a.resource}${a.subresource && `/${a.subresource}`}`;
      const right = `${a.verb} ${a.isResource ? resource : a.path} ${a.namespace}/${a.name}`;
      asked.push(right);
      return allowed.includes(right) ? { allowed: true } : { allowed: false, reason: '' };
    },
    rulesFor: async () => ({ rules: [] }),
  };
};
const by = (headers: Given, who = admin, authorizer: Authorizer = mastersAuthorizer(), at = info) =>
  impersonate(authorizer, who, at, on(headers));
const U: [string, string] = ['Impersonate-User', 'u'];

describe('whom the headers name', () => {
  // As a server of upstream's answered a SelfSubjectReview of its administrator.
  it.each<[string, Given, object]>([
    ['a user', [U], { username: 'u', groups: ['system:authenticated'] }],
    ['the first of two users', [U, ['impersonate-user', 'v']], { username: 'u' }],
    [
      'groups with commas, several times, even an empty one',
      [U, ['Impersonate-Group', 'a,b'], ['impersonate-group', 'c'], ['Impersonate-Group', '']],
      { groups: ['a,b', 'c', '', 'system:authenticated'] },
    ],
    [
      'a group twice',
      [U, ['Impersonate-Group', 'a'], ['Impersonate-Group', 'a']],
      { groups: ['a', 'a', 'system:authenticated'] },
    ],
    [
      'a group that is there anyway',
      [U, ['Impersonate-Group', 'system:authenticated']],
      { groups: ['system:authenticated'] },
    ],
    [
      'a stranger by group',
      [U, ['Impersonate-Group', 'system:unauthenticated']],
      { groups: ['system:unauthenticated'] },
    ],
    [
      'a stranger by name',
      [
        ['Impersonate-User', 'system:anonymous'],
        ['Impersonate-Group', 'x'],
      ],
      { groups: ['x', 'system:unauthenticated'] },
    ],
    [
      'uid and extra fields: names lower case, then decoded; what does not decode as it is',
      [
        ['Impersonate-User', 'system:serviceaccount:a:b'],
        ['Impersonate-Uid', '77'],
        ['Impersonate-Extra-a%2fB', 'v,w'],
        ['Impersonate-Extra-a%2fb', 'z'],
        ['Impersonate-Extra-%zz', 'q'],
        ['Impersonate-Extra-%41', 'q'],
        ['Impersonate-Extra-', 'r'],
      ],
      {
        username: 'system:serviceaccount:a:b',
        uid: '77',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:a', 'system:authenticated'],
        extra: { 'a/b': ['v,w', 'z'], '%zz': ['q'], A: ['q'], '': ['r'] },
      },
    ],
    [
      'a service account with groups is in those only',
      [
        ['Impersonate-User', 'system:serviceaccount:a:b'],
        ['Impersonate-Group', 'g'],
      ],
      { groups: ['g', 'system:authenticated'] },
    ],
    [
      'what is no service account',
      [['Impersonate-User', 'system:serviceaccount:A:b']],
      { username: 'system:serviceaccount:A:b', groups: ['system:authenticated'] },
    ],
    [
      'names in UTF-8',
      [
        ['Impersonate-User', Buffer.from('ñ').toString('latin1')],
        ['Impersonate-Group', Buffer.from('漢').toString('latin1')],
      ],
      { username: 'ñ', groups: ['漢', 'system:authenticated'] },
    ],
    [
      'a node',
      [['Impersonate-User', 'system:node:x']],
      { username: 'system:node:x', groups: ['system:nodes', 'system:authenticated'] },
    ],
  ])('%s', async (_name, headers, expected) => {
    expect((await by(headers)).user).toMatchObject(expected);
  });

  it('nobody', async () => {
    expect(await by([['Accept', 'impersonate-user']])).toEqual({ user: admin });
    expect(await by([['Impersonate-User', '']])).toEqual({ user: admin });
  });

  it('a field of any name, for which the right is asked', async () => {
    const headers: Given = [U, ['Impersonate-Extra-__proto__', 'v']];
    const { user: found } = await by(headers);
    expect(Object.entries(found.extra)).toEqual([['__proto__', ['v']]]);
    const rights = only('impersonate /users /u');
    await expect(by(headers, bob, rights)).rejects.toMatchObject({ code: 403 });
    expect(rights.asked.at(-1)).toBe('impersonate authentication.k8s.io/userextras/__proto__ /v');
  });

  it('joined by commas where they came so', async () => {
    const headers = new Headers([U, ['impersonate-group', 'a'], ['impersonate-group', 'b']]);
    const { user: found } = await impersonate(mastersAuthorizer(), admin, info, { headers });
    expect(found.groups).toEqual(['a', 'b', 'system:authenticated']);
  });

  it.each<[Given, string]>([
    [
      [
        ['Impersonate-Group', 'bob'],
        ['Impersonate-Uid', '3'],
        ['Impersonate-Extra-Foo', '3'],
      ],
      'requested &user.DefaultInfo{Name:"", UID:"3", Groups:[]string{"bob"}, Extra:map[string][]string{"foo":[]string{"3"}}} without impersonating a user name',
    ],
    [
      [
        ['Impersonate-User', ''],
        ['Impersonate-Group', 'g'],
      ],
      'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a user name',
    ],
  ])('no user with %j: 400', async (headers, message) => {
    await expect(by(headers)).rejects.toMatchObject({ code: 400, message });
  });
});

describe('rights', () => {
  const all: Given = [U, ['Impersonate-Group', 'g'], ['Impersonate-Uid', 'i'], ['Impersonate-Extra-e.org%2fk', 'v']];

  it('each part needs its own, of impersonation as it always was', async () => {
    const needed = [
      'impersonate /users /u',
      'impersonate authentication.k8s.io/uids /i',
      'impersonate /groups /g',
      'impersonate authentication.k8s.io/userextras/e.org/k /v',
    ];
    expect(await by(all, bob, only(...needed))).toMatchObject({ user: { username: 'u' } });
    expect((await by(all, bob, only(...needed))).constraint).toBeUndefined();
    for (const lacking of needed)
      await expect(by(all, bob, only(...needed.filter((n) => n !== lacking)))).rejects.toMatchObject({ code: 403 });
  });

  it('constrained: the verb at hand, and each part', async () => {
    const needed = [
      'impersonate-on:user-info:get apps/deployments n/x',
      'impersonate:user-info authentication.k8s.io/users /u',
      'impersonate:user-info authentication.k8s.io/uids /i',
      'impersonate:user-info authentication.k8s.io/groups /g',
      'impersonate:user-info authentication.k8s.io/userextras/e.org/k /v',
    ];
    const rights = only(...needed);
    expect(await by(all, bob, rights)).toMatchObject({ constraint: 'impersonate:user-info', user: { username: 'u' } });
    expect(rights.asked).toEqual(needed);
    for (const lacking of needed)
      await expect(by(all, bob, only(...needed.filter((n) => n !== lacking)))).rejects.toMatchObject({ code: 403 });
    const other = requestInfo('DELETE', 'https://server/apis/apps/v1/namespaces/n/deployments/x');
    await expect(by(all, bob, only(...needed), other)).rejects.toMatchObject({ code: 403 });
  });

  it('the right to all of a kind is asked for where there are many', async () => {
    const groups: Given = ['a', 'b', 'c', 'd'].map((name) => ['Impersonate-Group', name]);
    const rights = only(
      'impersonate-on:user-info:get apps/deployments n/x',
      'impersonate:user-info authentication.k8s.io/users /u',
      'impersonate:user-info authentication.k8s.io/groups /*',
    );
    expect((await by([U, ...groups], bob, rights)).user.groups).toEqual(['a', 'b', 'c', 'd', 'system:authenticated']);
  });

  it('refusals are in the words of the first mode that fits', async () => {
    const text = async (headers: Given, at = info) => {
      const failed = await by(headers, bob, only(), at).catch((error: Error) => error);
      return (failed as Error).message;
    };
    expect(await text([U])).toBe(
      'deployments.apps "x" is forbidden: User "bob" cannot impersonate-on:user-info:get resource "deployments" in API group "apps" in the namespace "n"',
    );
    expect(await text([['Impersonate-User', 'system:serviceaccount:a:b']])).toContain(
      'impersonate-on:serviceaccount:get',
    );
    expect(await text([['Impersonate-User', 'system:node:n']])).toContain('impersonate-on:arbitrary-node:get');
    expect(
      await text([
        ['Impersonate-User', 'system:serviceaccount:a:b'],
        ['Impersonate-Group', 'g'],
      ]),
    ).toBe(
      'serviceaccounts "b" is forbidden: User "bob" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "a"',
    );
    expect(await text([U], requestInfo('GET', 'https://server/version'))).toBe(
      'forbidden: User "bob" cannot impersonate-on:user-info:get path "/version"',
    );
  });

  it('constrained impersonation never gives system:masters, empty groups or odd extra fields', async () => {
    const everything: Authorizer = {
      authorize: async ({ verb }) => (verb === 'impersonate' ? { allowed: false, reason: '' } : { allowed: true }),
      rulesFor: async () => ({ rules: [] }),
    };
    expect((await by([U, ['Impersonate-Group', 'g']], bob, everything)).constraint).toBe('impersonate:user-info');
    for (const more of [
      ['Impersonate-Group', 'system:masters'],
      ['Impersonate-Group', ''],
      ['Impersonate-Extra-', 'v'],
      ['Impersonate-Extra-plain', 'v'],
      ['Impersonate-Extra-e.org%2f%41', 'v'],
      ['Impersonate-Extra-e.org%2fk', ''],
    ] as Given)
      await expect(by([U, more], bob, everything)).rejects.toMatchObject({ code: 403 });
  });
});

describe('nodes', () => {
  const agent = {
    ...user('system:serviceaccount:n:agent', ['system:serviceaccounts']),
    extra: { 'authentication.kubernetes.io/node-name': ['one'], x: ['y'] },
  };
  const as = (node: string): Given => [['Impersonate-User', `system:node:${node}`]];
  const rights = [
    'impersonate-on:associated-node:get apps/deployments n/x',
    'impersonate:associated-node authentication.k8s.io/nodes /*',
  ];

  it('an agent on a node acts as that node only', async () => {
    expect(await by(as('one'), agent, only(...rights))).toEqual({
      constraint: 'impersonate:associated-node',
      user: { username: 'system:node:one', uid: '', groups: ['system:nodes', 'system:authenticated'], extra: {} },
    });
    await expect(by(as('two'), agent, only(...rights))).rejects.toMatchObject({ code: 403 });
    const elsewhere = { ...agent, username: 'somebody' };
    await expect(by(as('one'), elsewhere, only(...rights))).rejects.toMatchObject({ code: 403 });
  });

  it('any node by its name, and nothing besides', async () => {
    const any = [
      'impersonate-on:arbitrary-node:get apps/deployments n/x',
      'impersonate:arbitrary-node authentication.k8s.io/nodes /two',
    ];
    expect((await by(as('two'), bob, only(...any))).constraint).toBe('impersonate:arbitrary-node');
    await expect(by([...as('two'), ['Impersonate-Uid', 'u']], bob, only(...any))).rejects.toMatchObject({ code: 403 });
  });
});
