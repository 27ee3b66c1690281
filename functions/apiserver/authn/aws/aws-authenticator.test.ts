import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { presignToken } from '../../../../cli/aws/presigned-token.ts';
import { type FakeSts, type Mood, startFakeSts } from '../../../../test/aws/fake-sts.ts';
import { createAuthority, issueServer } from '../../../entry/issue.ts';
import { createStored } from '../../authz/stored-for-tests.ts';
import type { Configuration } from '../../configuration.ts';
import type { Cluster } from '../../fleet/cluster-kind.ts';
import { createAwsAuthenticator } from './aws-authenticator.ts';
import { awsTokens } from './aws-tokens.ts';
import { parseAwsIdentity } from './identity-configuration.ts';
import { createSts } from './sts-request.ts';

const ROLE = 'arn:aws:iam::111122223333:role/dev/apps/Admin';
const USER = 'arn:aws:iam::111122223333:user/bob';
const callers = {
  AROLE: {
    secret: 'a secret',
    sessionToken: 'of/a+session==',
    arn: 'arn:aws:sts::111122223333:assumed-role/Admin/mary@example.com',
    userId: 'AROAEXAMPLE:mary@example.com',
  },
  AUSER: { secret: 'another', arn: USER, userId: 'AIDAEXAMPLE' },
  ANOBODY: { secret: 'third', arn: 'arn:aws:iam::111122223333:user/nobody', userId: 'AIDANOBODY' },
};

const clock = { ms: Date.parse('2026-11-21T10:00:00Z'), now: () => clock.ms };
let sts: FakeSts;
let certificateAuthority: string;
let stored: ReturnType<typeof createStored>;
let configuration: Configuration;
const specs = new Map<string, Cluster['spec']>();
const failures: string[] = [];

const configure = (more: object = {}): void => {
  configuration = {
    awsIdentity: parseAwsIdentity({
      apiVersion: 'skiff.dev/v1',
      kind: 'AWSIdentityConfiguration',
      clusterId: 'main',
      accessEntries: [{ principalArn: ROLE, kubernetesGroups: ['ops'] }, { principalArn: USER }],
      sts: { endpoint: sts.origin, certificateAuthority },
      ...more,
    }),
  };
};

const authenticator = () =>
  createAwsAuthenticator(
    {
      replicas: stored.replicas,
      clock,
      configured: () => configuration,
      specOf: (cluster) => specs.get(cluster),
      uidOf: (cluster) => (specs.has(cluster) ? `uid-of-${cluster}` : undefined),
      onFailure: (cluster, why) => void failures.push(`${cluster}: ${why}`),
    },
    (settings) => createSts({ ...settings, timeoutMs: 300 }),
  );
let by: ReturnType<typeof authenticator>;

const tokenOf = async (accessKeyId: keyof typeof callers, clusterId = 'main', now = clock.ms) => {
  const { secret, ...rest } = callers[accessKeyId];
  const sessionToken = 'sessionToken' in rest ? rest.sessionToken : undefined;
  const credentials = { accessKeyId, secretAccessKey: secret, ...(sessionToken && { sessionToken }) };
  return (await presignToken({ clusterId, region: 'eu-north-1', endpoint: sts.origin, credentials, now })).token;
};
/** Requests of the cluster `main`; those of a flood by another may still be coming in. */
const askedByMain = () => sts.sent.filter(({ headers }) => headers['x-k8s-aws-id'] === 'main').length;
const authenticate = async (token: string, cluster = 'default') => by.authenticate(cluster, token, {});

beforeAll(async () => {
  const ca = await createAuthority();
  certificateAuthority = ca.cert.toString('pem');
  sts = await startFakeSts(callers, { tls: await issueServer(ca, [], ['127.0.0.1']), now: clock.now });
});
afterAll(() => sts.close());
beforeEach(() => {
  stored = createStored({ ...clock, uuid: () => '', sleep: async () => {}, after: () => () => {} } as never);
  sts.sent.length = 0;
  failures.length = 0;
  specs.clear();
  clock.ms += 3_600_000;
  configure();
  by = authenticator();
});
afterEach(() => stored.replicas.close());

describe('a presigned token', () => {
  it('is sent once, with the header of the cluster, and tells who comes', async () => {
    const token = await tokenOf('AROLE');
    const user = await authenticate(token);
    expect(user).toEqual({
      username: 'arn:aws:sts::111122223333:assumed-role/Admin/mary-example.com',
      uid: 'aws-iam-authenticator:111122223333:AROAEXAMPLE',
      groups: ['ops', 'system:authenticated'],
      extra: {
        arn: ['arn:aws:sts::111122223333:assumed-role/Admin/mary@example.com'],
        canonicalArn: ['arn:aws:iam::111122223333:role/Admin'],
        sessionName: ['mary@example.com'],
        accessKeyId: ['AROLE'],
        principalId: ['AROAEXAMPLE'],
        'sigs.k8s.io/aws-iam-authenticator/principalId': ['AROAEXAMPLE'],
      },
    });
    expect(await authenticate(token)).toBe(user);
    expect(sts.sent.length).toBe(1);
    expect(sts.sent[0]?.method).toBe('GET');
    expect(sts.sent[0]?.headers['x-k8s-aws-id']).toBe('main');
    expect(Object.keys(sts.sent[0]?.headers ?? {}).sort()).toEqual(['accept', 'connection', 'host', 'x-k8s-aws-id']);
  });

  it('may be answered in XML', async () => {
    sts.moods = ['xml'];
    expect((await authenticate(await tokenOf('AUSER')))?.username).toBe(USER);
  });

  it('is asked about once by many requests at the same time', async () => {
    const token = await tokenOf('AUSER');
    const users = await Promise.all(Array.from({ length: 50 }, () => authenticate(token)));
    expect(new Set(users.map((user) => user?.username))).toEqual(new Set([USER]));
    expect(sts.sent.length).toBe(1);
  });

  it('is asked about again after a minute, and not once it has expired', async () => {
    const token = await tokenOf('AUSER');
    for (const [after, sent] of [
      [0, 1],
      [59_000, 1],
      [1_000, 2],
      [13 * 60_000, 3],
    ] as const) {
      clock.ms += after;
      expect((await authenticate(token))?.username).toBe(USER);
      expect(sts.sent.length).toBe(sent);
    }
    clock.ms += 59_000;
    expect((await authenticate(token))?.username).toBe(USER);
    clock.ms += 1_000;
    expect(await authenticate(token)).toBeUndefined();
    expect(sts.sent.length).toBe(3);
  });

  it('of another cluster does not open this one, nor of the operator the fleet', async () => {
    expect(await authenticate(await tokenOf('AUSER', 'other'))).toBeUndefined();
    expect(await authenticate(await tokenOf('AUSER', 'main'), 'system')).toBeUndefined();
    expect(await authenticate(await tokenOf('AUSER', 'main.system'))).toBeUndefined();
    expect((await authenticate(await tokenOf('AUSER', 'main.system'), 'system'))?.username).toBe(USER);
  });

  it('counts in the cluster of a tenant by its uid, whatever another was told of it', async () => {
    specs.set('a', { accessEntries: [{ principalArn: USER, username: 'bob-of-a' }] });
    specs.set('b', { accessEntries: [{ principalArn: USER, username: 'bob-of-b' }] });
    specs.set('c', { accessConfig: { clusterId: 'c-called' }, accessEntries: [{ principalArn: USER }] });
    specs.set('none', {});
    const a = await tokenOf('AUSER', 'uid-of-a');
    expect((await authenticate(a, 'a'))?.username).toBe('bob-of-a');
    for (const cluster of ['b', 'c', 'none', 'default', 'system', 'nowhere'])
      expect(await authenticate(a, cluster)).toBeUndefined();
    expect((await authenticate(await tokenOf('AUSER', 'uid-of-b'), 'b'))?.username).toBe('bob-of-b');
    expect((await authenticate(await tokenOf('AUSER', 'c-called'), 'c'))?.username).toBe(USER);
    expect(await authenticate(await tokenOf('AUSER', 'uid-of-c'), 'c')).toBeUndefined();
    expect(await authenticate(await tokenOf('AUSER', 'uid-of-none'), 'none')).toBeUndefined();
  });

  it('does not count when its signature, keys or session are changed', async () => {
    const good = Buffer.from((await tokenOf('AROLE')).slice('k8s-aws-v1.'.length), 'base64url').toString();
    const changed = (from: string | RegExp, to: string) =>
      authenticate(`k8s-aws-v1.${Buffer.from(good.replace(from, to)).toString('base64url')}`);
    const other = good.endsWith('0') ? '1' : '0';
    expect(await changed(/.$/, other)).toBeUndefined();
    expect(await changed('AROLE', 'AUSER')).toBeUndefined();
    expect(await changed(/&X-Amz-Security-Token=[^&]*/, '')).toBeUndefined();
    expect(await changed('Expires=60', 'Expires=900')).toBeUndefined();
    expect((await changed('', ''))?.groups).toContain('ops');
  });
});

describe('what STS answers', () => {
  it.each<[Mood, number]>([
    ['redirect', 1],
    ['html', 1],
    ['liar', 1],
  ])('%s lets nobody in, and is remembered for ten seconds', async (mood, sent) => {
    const token = await tokenOf('AROLE');
    sts.moods = [mood];
    expect(await authenticate(token)).toBeUndefined();
    clock.ms += 9_000;
    expect(await authenticate(token)).toBeUndefined();
    expect(sts.sent.length).toBe(sent);
    clock.ms += 1_000;
    expect((await authenticate(token))?.groups).toContain('ops');
  });

  it.each<Mood>(['huge', 'hang', 'cut', 'broken'])(
    '%s is asked once more, then 503, and nothing is remembered',
    async (mood) => {
      const token = await tokenOf('AUSER');
      sts.moods = [mood];
      expect((await authenticate(token))?.username).toBe(USER);
      expect(sts.sent.length).toBe(2);
      const another = await tokenOf('AROLE');
      sts.moods = [mood, mood];
      await expect(authenticate(another)).rejects.toMatchObject({ code: 503 });
      expect(failures.length).toBe(1);
      expect(failures[0]).not.toContain('Signature');
      expect((await authenticate(another))?.groups).toContain('ops');
    },
  );

  it('too many questions are told as such', async () => {
    sts.moods = ['throttled'];
    await expect(authenticate(await tokenOf('AUSER'))).rejects.toMatchObject({ code: 429 });
  });

  it('of a cluster that asks without end does not keep another from asking', async () => {
    specs.set('a', { accessEntries: [{ principalArn: USER }] });
    sts.moods = Array.from({ length: 16 }, () => 'hang' as const);
    const asking = await Promise.all(
      Array.from({ length: 30 }, (_, i) => tokenOf('AUSER', 'uid-of-a', clock.ms - i * 1_000)),
    );
    const answers = asking.map((token) =>
      authenticate(token, 'a').then(
        () => 0,
        (error) => error.code,
      ),
    );
    // All that may be under way at once hang before the other asks: an answer that hangs is whoever comes next's.
    await expect.poll(() => sts.sent.length, { timeout: 3_000 }).toBe(16);
    expect((await authenticate(await tokenOf('AUSER')))?.username).toBe(USER);
    const codes = await Promise.all(answers);
    expect(codes.filter((code) => code === 429).length).toBe(14);
    sts.moods = [];
  });

  it('counts under the settings that it was asked with', async () => {
    const token = await tokenOf('AUSER');
    expect((await authenticate(token))?.username).toBe(USER);
    configure({ sts: { endpoint: 'https://127.0.0.1:1', certificateAuthority } });
    expect(await authenticate(token)).toBeUndefined();
    // Nobody known vouches for the server any more.
    configure({ sts: { endpoint: sts.origin } });
    await expect(authenticate(token)).rejects.toMatchObject({ code: 503 });
    expect(askedByMain()).toBe(1);
    configure();
    expect((await authenticate(token))?.username).toBe(USER);
    expect(askedByMain()).toBe(2);
  });
});

const awsAuth = (data: Record<string, string>) =>
  stored.put('', 'configmaps', { metadata: { namespace: 'kube-system', name: 'aws-auth' }, data } as never);

describe('mappings', () => {
  it('are those of the moment: who is taken out is out with the next request', async () => {
    const token = await tokenOf('AUSER');
    expect((await authenticate(token))?.username).toBe(USER);
    configure({ accessEntries: [{ principalArn: ROLE }] });
    expect(await authenticate(token)).toBeUndefined();
    configure({ accessEntries: [{ principalArn: USER, username: 'bobby' }] });
    expect((await authenticate(token))?.username).toBe('bobby');
    configure({ accounts: ['999999999999'] });
    expect(await authenticate(token)).toBeUndefined();
    expect(askedByMain()).toBe(1);
  });

  it('of aws-auth are not looked at for whom an entry lets in', async () => {
    expect((await authenticate(await tokenOf('AUSER')))?.username).toBe(USER);
    const configMaps = { cluster: 'default', group: '', resource: 'configmaps' };
    expect(stored.replicas.peek(configMaps)).toBeUndefined();
    expect(await authenticate(await tokenOf('ANOBODY'))).toBeUndefined();
    expect(stored.replicas.peek(configMaps)).toBeDefined();
  });

  it('of aws-auth hold where no entry does, as the mode says, and are followed', async () => {
    const token = await tokenOf('ANOBODY');
    expect(await authenticate(token)).toBeUndefined();
    await awsAuth({
      mapUsers: `- {userarn: "${callers.ANOBODY.arn}", username: nobody, groups: ["system:masters"]}\n- {userarn: "${USER}", username: other}`,
    });
    clock.ms += 2_000;
    expect(await authenticate(token)).toMatchObject({
      username: 'nobody',
      groups: ['system:masters', 'system:authenticated'],
    });
    expect((await authenticate(await tokenOf('AUSER')))?.username).toBe(USER);
    configure({ authenticationMode: 'API' });
    expect(await authenticate(token)).toBeUndefined();
    configure({ authenticationMode: 'CONFIG_MAP' });
    expect((await authenticate(token))?.username).toBe('nobody');
    expect((await authenticate(await tokenOf('AUSER')))?.username).toBe('other');
    await stored.remove('', 'configmaps', 'kube-system/aws-auth');
    clock.ms += 2_000;
    expect(await authenticate(token)).toBeUndefined();
  });
});

describe('who asks about a token', () => {
  it('is told what is wrong with it', async () => {
    const told: string[] = [];
    const explain = (fault: string) => void told.push(fault);
    await by.authenticate('default', await tokenOf('ANOBODY'), { explain });
    await by.authenticate('default', await tokenOf('AUSER', 'main', clock.ms - 3_600_000), { explain });
    await by.authenticate('default', await tokenOf('AUSER'), { explain });
    expect(told).toEqual([
      `no access entry and no mapping of aws-auth lets ${callers.ANOBODY.arn} in`,
      'the token has expired',
    ]);
  });

  it('is told which text of aws-auth cannot be read, and the others hold', async () => {
    await awsAuth({ mapRoles: '- rolearn: [', mapUsers: `- {userarn: "${USER}", username: other}`, mapAccounts: '' });
    clock.ms += 2_000;
    configure({ authenticationMode: 'CONFIG_MAP' });
    const told: string[] = [];
    const explain = (fault: string) => void told.push(fault);
    expect(await by.authenticate('default', await tokenOf('ANOBODY'), { explain })).toBeUndefined();
    expect(told).toEqual([
      `no access entry and no mapping of aws-auth lets ${callers.ANOBODY.arn} in; mapRoles of aws-auth is no list that can be read`,
    ]);
    expect((await authenticate(await tokenOf('AUSER')))?.username).toBe('other');
    await stored.remove('', 'configmaps', 'kube-system/aws-auth');
  });
});

describe('a cluster that takes none', () => {
  it('loads nothing and asks nobody', async () => {
    const tokens = awsTokens({ replicas: stored.replicas, clock, configured: () => ({}), specOf: () => ({}) });
    expect(await tokens.authenticate('default', await tokenOf('AUSER'), {})).toBeUndefined();
    const some = awsTokens({ replicas: stored.replicas, clock, configured: () => configuration });
    expect(await some.authenticate('default', 'a.b.c', {})).toBeUndefined();
    expect(await some.authenticate('default', undefined, {})).toBeUndefined();
    expect((await some.authenticate('default', await tokenOf('AUSER'), {}))?.username).toBe(USER);
  });
});
