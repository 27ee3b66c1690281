import { describe, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { createApiServer } from '../app.ts';
import { staticTokens, user } from '../authn/authenticator.ts';
import { mastersAuthorizer } from '../authz/authorizer.ts';
import { type Configuration, parseConfiguration } from '../configuration.ts';

const document = (configuration: object, plugin: object = {}) => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AdmissionConfiguration',
  plugins: [
    {
      name: 'PodSecurity',
      configuration: {
        apiVersion: 'pod-security.admission.config.k8s.io/v1',
        kind: 'PodSecurityConfiguration',
        ...configuration,
      },
      ...plugin,
    },
  ],
});
const parse = (value: object): Promise<Configuration> =>
  parseConfiguration([{ name: 'f', text: JSON.stringify(value) }]);

describe('an AdmissionConfiguration', () => {
  it('says what pods are held to, with defaults for what it leaves out', async () => {
    const given = { defaults: { enforce: 'baseline', 'enforce-version': 'v1.30' }, exemptions: { usernames: ['a'] } };
    expect((await parse(document(given))).admission?.podSecurity).toEqual({
      defaults: {
        enforce: { level: 'baseline', version: 30 },
        audit: { level: 'privileged', version: 'latest' },
        warn: { level: 'privileged', version: 'latest' },
      },
      exemptions: { usernames: ['a'], namespaces: [], runtimeClasses: [] },
    });
    expect((await parse(document({}))).admission?.podSecurity?.defaults?.enforce.level).toBe('privileged');
  });

  const refused: [why: string, value: object, text: string][] = [
    ['a level', document({ defaults: { enforce: 'tight' } }), 'configuration.defaults.enforce: Invalid value: "tight"'],
    ['a version', document({ defaults: { 'warn-version': '1.30' } }), 'defaults.warn-version: Invalid value: "1.30"'],
    ['a field', document({ default: {} }), 'plugins[0].configuration'],
    ['a namespace', document({ exemptions: { namespaces: ['A'] } }), 'exemptions.namespaces[0]: Invalid value: "A"'],
    ['a name twice', document({ exemptions: { runtimeClasses: ['a', 'a'] } }), 'exemptions.runtimeClasses[1]'],
    ['an empty user', document({ exemptions: { usernames: [''] } }), 'username must not be empty'],
    ['a version of the kind', document({ apiVersion: 'pod-security.admission.config.k8s.io/v2' }), 'apiVersion'],
    ['a file', document({}, { path: '/etc/x' }), 'plugins[0].path'],
    [
      'a file and no configuration',
      { ...document({}), plugins: [{ name: 'PodSecurity', path: 'x' }] },
      '[0].path: write',
    ],
    ['a field of a plugin', document({}, { pth: '/etc/x' }), 'plugins[0]: Unrecognized key: "pth"'],
    ['a plugin', document({}, { name: 'EventRateLimit' }), '"EventRateLimit" is no plugin'],
    ['a plugin twice', { ...document({}), plugins: [...document({}).plugins, ...document({}).plugins] }, 'plugins[1]'],
  ];
  for (const [why, value, text] of refused)
    it(`is refused for ${why}`, () => expect(parse(value)).rejects.toThrow(text));
});

describe('pods', () => {
  const started = async (configured: (cluster: string) => Configuration) => {
    const clock = createSystemClock();
    const store = createMemoryStore();
    const app = createApiServer({
      store,
      clock,
      replicas: createReplicas(store, { clock, bytesMax: 1 << 24, windowChanges: 1000, windowMs: 60_000 }),
      authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
      authorizer: mastersAuthorizer(),
      disableAdmission: ['ServiceAccount'],
      configured,
    });
    const post = async (cluster: string, path: string, body: object): Promise<number> => {
      const init = { method: 'POST', headers: { authorization: 'Bearer t', 'content-type': 'application/json' } };
      const url = `https://x/clusters/${cluster}/api/v1/namespaces${path}`;
      return (await app.fetch(new Request(url, { ...init, body: JSON.stringify(body) }))).status;
    };
    return post;
  };
  const pod = (name: string) => ({
    metadata: { name },
    spec: { hostNetwork: true, containers: [{ name: 'c', image: 'i' }] },
  });

  it('are held to what the cluster’s configuration says at the moment', async () => {
    const strict = await parse(document({ defaults: { enforce: 'baseline' }, exemptions: { namespaces: ['free'] } }));
    let now: Configuration = {};
    const post = await started((cluster) => (cluster === 'a' ? now : {}));
    for (const cluster of ['a', 'b'])
      for (const name of ['held', 'free']) expect(await post(cluster, '', { metadata: { name } })).toBe(201);
    expect(await post('a', '/held/pods', pod('one'))).toBe(201);
    now = strict;
    expect(await post('a', '/held/pods', pod('two'))).toBe(403);
    expect(await post('a', '/free/pods', pod('two'))).toBe(201);
    expect(await post('b', '/held/pods', pod('two'))).toBe(201);
    now = {};
    expect(await post('a', '/held/pods', pod('three'))).toBe(201);
  });
});
