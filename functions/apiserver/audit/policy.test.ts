import { describe, expect, it } from 'vitest';
import { requestInfo } from '../request-info.ts';
import { parseAuditPolicy } from './policy.ts';

const policy = (more: object) => parseAuditPolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', ...more });
const alice = { username: 'alice', uid: '', groups: ['devs', 'system:authenticated'], extra: {} };
/** The level that one rule, followed by nothing, gives a request: None where it does not match. */
const level = (rule: object, method: string, path: string, user: typeof alice | undefined = alice): string =>
  policy({ rules: [{ level: 'Request', ...rule }] }).verdict({ ...requestInfo(method, `https://x${path}`), user })
    .level;

const POD = '/api/v1/namespaces/a/pods/p';
const LOG = `${POD}/log`;
const SCALE = '/apis/apps/v1/namespaces/a/deployments/d/scale';
const core = (...resources: string[]) => ({ resources: [{ group: '', resources }] });

describe('a rule', () => {
  it.each<[string, object, string, string, boolean]>([
    ['of nothing', {}, 'GET', POD, true],
    ['of nothing', {}, 'GET', '/healthz', true],
    ['of a user', { users: ['alice'] }, 'GET', POD, true],
    ['of another user', { users: ['bob'] }, 'GET', POD, false],
    ['of a group', { userGroups: ['ops', 'devs'] }, 'GET', POD, true],
    ['of another group', { userGroups: ['ops'] }, 'GET', POD, false],
    ['of a verb', { verbs: ['get'] }, 'GET', POD, true],
    ['of another verb', { verbs: ['list', 'watch'] }, 'GET', POD, false],
    ['of watches', { verbs: ['watch'] }, 'GET', '/api/v1/pods?watch=1', true],
    ['of deletions of collections', { verbs: ['deletecollection'] }, 'DELETE', '/api/v1/namespaces/a/pods', true],
    ['of a namespace', { namespaces: ['a'] }, 'GET', POD, true],
    ['of another namespace', { namespaces: ['b'] }, 'GET', POD, false],
    ['of no namespace', { namespaces: [''] }, 'GET', '/api/v1/nodes/n', true],
    ['of a namespace, and a path', { namespaces: [''] }, 'GET', '/healthz', false],
    ['of the namespace itself', { namespaces: ['a'] }, 'GET', '/api/v1/namespaces/a', true],
    ['of a resource', core('pods'), 'GET', POD, true],
    ['of a resource, not its subresource', core('pods'), 'GET', LOG, false],
    ['of a subresource', core('pods/log'), 'GET', LOG, true],
    ['of a subresource, not its resource', core('pods/log'), 'GET', POD, false],
    ['of all subresources of a resource', core('pods/*'), 'GET', LOG, true],
    ['of all subresources of a resource, and it', core('pods/*'), 'GET', POD, true],
    ['of a subresource of everything', { resources: [{ group: '*', resources: ['*/scale'] }] }, 'GET', SCALE, true],
    ['of a subresource of everything else', core('*/log'), 'GET', POD, false],
    ['of everything in a group', core('*'), 'GET', LOG, true],
    ['of everything in a group', core('*'), 'GET', SCALE, false],
    ['of a group without resources', { resources: [{ group: 'apps' }] }, 'GET', SCALE, true],
    ['of the core group without resources', { resources: [{}] }, 'GET', POD, true],
    ['of several groups', { resources: [{ group: 'batch' }, { group: 'apps' }] }, 'GET', SCALE, true],
    ['of resources, and a path', core('pods'), 'GET', '/api', false],
    ['of a name', { resources: [{ resources: ['pods'], resourceNames: ['p'] }] }, 'GET', POD, true],
    ['of another name', { resources: [{ resources: ['pods'], resourceNames: ['q'] }] }, 'GET', POD, false],
    [
      'of a name that is selected',
      { resources: [{ resources: ['pods'], resourceNames: ['p'] }] },
      'GET',
      '/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dp',
      true,
    ],
    ['of a path', { nonResourceURLs: ['/healthz'] }, 'GET', '/healthz', true],
    ['of another path', { nonResourceURLs: ['/healthz'] }, 'GET', '/healthz/ping', false],
    ['of paths below', { nonResourceURLs: ['/healthz*'] }, 'GET', '/healthz/ping', true],
    ['of all paths', { nonResourceURLs: ['*'] }, 'GET', '/version', true],
    ['of all paths, and a resource', { nonResourceURLs: ['*'] }, 'GET', POD, false],
    ['of a tenant, below its prefix', core('pods'), 'GET', `/clusters/t${POD}`, true],
  ])('%s: %o %s %s is %s', (_name, rule, method, path, matches) => {
    expect(level(rule, method, path)).toBe(matches ? 'Request' : 'None');
  });
  it('of users or groups is for nobody who is not known', () => {
    expect(level({ users: ['alice'] }, 'GET', POD, undefined)).toBe('Request');
    const nobody = { ...requestInfo('GET', POD), user: undefined };
    for (const rule of [{ users: ['alice'] }, { userGroups: ['devs'] }])
      expect(policy({ rules: [{ level: 'Request', ...rule }] }).verdict(nobody).level).toBe('None');
    expect(policy({ rules: [{ level: 'Request' }] }).verdict(nobody).level).toBe('Request');
  });
  it('that comes first decides, with its stages beside the policy’s', () => {
    const rules = [
      { level: 'None', verbs: ['get'] },
      { level: 'Metadata', verbs: ['list'], omitStages: ['ResponseStarted'], omitManagedFields: false },
      { level: 'RequestResponse' },
    ];
    const both = policy({ rules, omitStages: ['RequestReceived'], omitManagedFields: true });
    const of = (method: string, path: string) =>
      both.verdict({ ...requestInfo(method, `https://x${path}`), user: alice });
    expect(of('GET', POD).level).toBe('None');
    const list = of('GET', '/api/v1/pods');
    expect([list.level, [...list.omitStages], list.omitManagedFields]).toEqual([
      'Metadata',
      ['RequestReceived', 'ResponseStarted'],
      false,
    ]);
    const other = of('DELETE', POD);
    expect([other.level, [...other.omitStages], other.omitManagedFields]).toEqual([
      'RequestResponse',
      ['RequestReceived'],
      true,
    ]);
  });
});

describe('a policy', () => {
  const supported = 'supported values: "None", "Metadata", "Request", "RequestResponse"';
  it.each<[object, string]>([
    [{}, 'loaded illegal policy with 0 rules'],
    [{ rules: [] }, 'loaded illegal policy with 0 rules'],
    [{ rules: [{}] }, 'rules[0].level: Required value'],
    [{ rules: [{ level: 'metadata' }] }, `rules[0].level: Unsupported value: "metadata": ${supported}`],
    [
      { rules: [{ level: 'None', omitStages: ['Started'] }] },
      'rules[0].omitStages[0]: Invalid value: "Started": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic',
    ],
    [
      { rules: [{ level: 'None' }], omitStages: ['x'] },
      'omitStages[0]: Invalid value: "x": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic',
    ],
    [
      { rules: [{ level: 'None', nonResourceURLs: ['healthz'] }] },
      `rules[0].nonResourceURLs[0]: Invalid value: "healthz": non-resource URL rules must begin with a '/' character`,
    ],
    [
      { rules: [{ level: 'None', nonResourceURLs: ['/a/*/b'] }] },
      `rules[0].nonResourceURLs[0]: Invalid value: "/a/*/b": non-resource URL wildcards '*' must be the final character of the rule`,
    ],
    [
      { rules: [{ level: 'None', nonResourceURLs: ['/a'], namespaces: ['b'] }] },
      'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and non-resource URLs',
    ],
    [
      { rules: [{ level: 'None', resources: [{ resourceNames: ['a'] }] }] },
      'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource',
    ],
    [{ rules: [{ level: 'None', verbs: 'get' }] }, 'failed decoding: rules[0].verbs: '],
    [{ rules: [{}, {}] }, '[rules[0].level: Required value, rules[1].level: Required value]'],
    [
      { rules: [{ level: 'None', resources: [{ group: 'apps/v1' }] }] },
      'rules[0].resources.group: Invalid value: "apps/v1": a lowercase RFC 1123 subdomain',
    ],
  ])('%j is refused', (given, message) => {
    expect(() => policy(given)).toThrow(message);
  });
  it('of another version is refused, and of fields that are not known is read', () => {
    expect(() => policy({ apiVersion: 'audit.k8s.io/v1beta1', rules: [{ level: 'None' }] })).toThrow(
      'no kind "Policy" is registered for version "audit.k8s.io/v1beta1"',
    );
    expect(policy({ rules: [{ level: 'Metadata', colour: 'red' }] })).toBeDefined();
  });
});
