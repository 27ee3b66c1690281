// Principals of AWS: kubectl with `skiff token` and with `aws eks get-token` against an embedded server and a fake STS.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAuthority, issueServer } from '../../functions/entry/issue.ts';
import { type FakeSts, startFakeSts } from '../aws/fake-sts.ts';
import { freePort } from '../free-port.ts';
import { describeWith, kubectlMissing, onPath } from './needs.ts';

const ACCOUNT = '111122223333';
const arn = (rest: string) => `arn:aws:iam::${ACCOUNT}:${rest}`;
const session = (role: string, name: string) => `arn:aws:sts::${ACCOUNT}:assumed-role/${role}/${name}`;
const callers = {
  AADMIN: { secret: 'one', arn: session('Admin', 'mary'), userId: 'AROA1:mary', sessionToken: 'a/b+c==' },
  AVIEWER: { secret: 'two', arn: arn('user/bob'), userId: 'AIDA2' },
  AMAPPED: { secret: 'three', arn: session('Mapped', 'sue@x.y'), userId: 'AROA3:sue@x.y' },
  ANOBODY: { secret: 'four', arn: arn('user/nobody'), userId: 'AIDA4' },
};
type Key = keyof typeof callers;

const scratch = mkdtempSync(join(tmpdir(), 'skiff-aws-test-'));
const data = join(scratch, 'data');
const operator = join(data, 'kubeconfig');
const config = join(scratch, 'aws.yaml');
const main = join(import.meta.dirname, '../../cli/main.ts');
const policy = (name: string) => `arn:aws:eks::aws:cluster-access-policy/AmazonEKS${name}Policy`;

interface Ended {
  code: number;
  out: string;
  err: string;
}
/** The fake STS answers in this process, so that nothing may wait for another. */
const run = (program: string, args: string[], env: Record<string, string> = {}, input = ''): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const { AWS_PROFILE: _, AWS_SESSION_TOKEN: __, ...inherited } = process.env;
    const child = spawn(program, args, { env: { ...inherited, HOME: scratch, KUBECONFIG: operator, ...env } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => void out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => void err.push(chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code: code ?? -1, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }),
    );
    child.stdin.end(input);
  });
const skiff = (...args: string[]) => run(process.execPath, [main, ...args, '--data', data]);
const credentials = (key: Key): Record<string, string> => {
  const { secret, ...rest } = callers[key];
  return {
    AWS_ACCESS_KEY_ID: key,
    AWS_SECRET_ACCESS_KEY: secret,
    AWS_EC2_METADATA_DISABLED: 'true',
    ...('sessionToken' in rest && { AWS_SESSION_TOKEN: rest.sessionToken }),
  };
};

let sts: FakeSts;
let certificateAuthority: string;
const kubeconfigs = new Map<string, string>();
const kubeconfigOf = (cluster: string) => kubeconfigs.get(cluster) ?? '';
const by = (key: Key, args: string[], cluster = 'default', input = '') =>
  run('kubectl', args, { ...credentials(key), KUBECONFIG: kubeconfigOf(cluster) }, input);

const configure = (entries: object[]): void =>
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: 'skiff.dev/v1',
      kind: 'AWSIdentityConfiguration',
      clusterId: 'lab',
      accessEntries: entries,
      sts: { endpoint: sts.origin, certificateAuthority },
    }),
  );
const admin = {
  principalArn: arn('role/dev/Admin'),
  accessPolicies: [{ policyArn: policy('ClusterAdmin'), accessScope: { type: 'cluster' } }],
};
const viewer = {
  principalArn: arn('user/bob'),
  username: 'bob',
  accessPolicies: [{ policyArn: policy('View'), accessScope: { type: 'namespace', namespaces: ['dev-*'] } }],
};

/** Asks until it is so, as what is written takes a moment to be in force. */
const until = async (what: () => Promise<boolean>): Promise<void> => {
  const ends = performance.now() + 20_000;
  while (!(await what())) {
    if (performance.now() > ends) throw new Error('it did not come to be');
    await delay(300);
  }
};

describeWith(kubectlMissing(), 'principals of AWS', () => {
  beforeAll(async () => {
    const ca = await createAuthority();
    certificateAuthority = ca.cert.toString('pem');
    sts = await startFakeSts(callers, { tls: await issueServer(ca, [], ['127.0.0.1']) });
    configure([admin, viewer]);
    const port = String(await freePort());
    const up = await skiff('up', '--detach', '--runtime', 'hollow', '--nodes', '0', '--port', port, '--config', config);
    if (up.code !== 0) throw new Error(up.err + up.out);
    const made = await skiff('kubeconfig', '--aws', '--cluster-id', 'lab', '--sts-endpoint', sts.origin);
    if (made.code !== 0) throw new Error(made.err);
    kubeconfigs.set('default', join(scratch, 'default.kubeconfig'));
    writeFileSync(kubeconfigOf('default'), made.out);
    await run('kubectl', ['create', 'namespace', 'dev-1']);
  }, 90_000);
  afterAll(async () => {
    await skiff('down', '--purge');
    await sts?.close();
    rmSync(scratch, { recursive: true, force: true });
  }, 60_000);

  it('come in with kubectl and skiff token, without a secret in the kubeconfig', async () => {
    const who = await by('AADMIN', ['auth', 'whoami', '-o', 'json']);
    expect(who.err).toBe('');
    expect(JSON.parse(who.out).status.userInfo).toEqual({
      username: session('Admin', 'mary'),
      uid: `aws-iam-authenticator:${ACCOUNT}:AROA1`,
      groups: ['system:authenticated'],
      extra: {
        arn: [session('Admin', 'mary')],
        canonicalArn: [arn('role/Admin')],
        sessionName: ['mary'],
        accessKeyId: ['AADMIN'],
        principalId: ['AROA1'],
        'sigs.k8s.io/aws-iam-authenticator/principalId': ['AROA1'],
      },
    });
    expect((await by('AADMIN', ['auth', 'can-i', '*', '*'])).out).toBe('yes\n');
    expect((await by('AADMIN', ['create', 'configmap', 'c'])).out).toBe('configmap/c created\n');
  });

  it('may do what their policies say, and give on no more', async () => {
    expect((await by('AVIEWER', ['get', 'configmaps', '-n', 'dev-1'])).code).toBe(0);
    const denied = await by('AVIEWER', ['get', 'configmaps', '-n', 'default']);
    expect(denied.err).toContain(
      'User "bob" cannot list resource "configmaps" in API group "" in the namespace "default"',
    );
    expect((await by('AVIEWER', ['create', 'configmap', 'c', '-n', 'dev-1'])).err).toContain('forbidden');
    // Whoever acts for another has what the other has by RBAC.
    const as = await by('AADMIN', ['get', 'nodes', '--as', session('Admin', 'mary')]);
    expect(as.err).toContain('forbidden');
    const role = JSON.stringify({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'all' },
      rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
    });
    expect((await by('AADMIN', ['create', '-f', '-'], 'default', role)).out).toContain('created');
    expect((await by('AVIEWER', ['create', '-f', '-'], 'default', role.replace('all', 'more'))).err).toContain(
      'forbidden',
    );
  });

  it('that nothing maps, or whose secret is another, do not', async () => {
    expect((await by('ANOBODY', ['get', 'namespaces'])).err).toMatch(/Unauthorized|logged in/);
    const forged = { ...credentials('AADMIN'), AWS_SECRET_ACCESS_KEY: 'guessed', KUBECONFIG: kubeconfigOf('default') };
    expect((await run('kubectl', ['get', 'namespaces'], forged)).err).toMatch(/Unauthorized|logged in/);
  });

  it('are mapped by aws-auth from the moment that it says so', async () => {
    const mapRoles = `- rolearn: ${arn('role/Mapped')}\n  username: "mapped:{{SessionName}}"\n  groups: [team]\n`;
    await run('kubectl', [
      'create',
      'configmap',
      'aws-auth',
      '-n',
      'kube-system',
      `--from-literal=mapRoles=${mapRoles}`,
    ]);
    await until(async () => (await by('AMAPPED', ['auth', 'whoami'])).code === 0);
    const { out } = await by('AMAPPED', [
      'auth',
      'whoami',
      '-o',
      'jsonpath={.status.userInfo.username} {.status.userInfo.groups}',
    ]);
    expect(out).toBe('mapped:sue-x.y ["team","system:authenticated"]');
    await run('kubectl', ['delete', 'configmap', 'aws-auth', '-n', 'kube-system']);
    await until(async () => (await by('AMAPPED', ['auth', 'whoami'])).code !== 0);
  });

  it('come into the clusters of tenants that name them, and into no other with the same token', async () => {
    expect((await skiff('cluster', 'create', 'team-a')).code).toBe(0);
    expect((await skiff('cluster', 'create', 'team-b', '--admin-arn', 'me')).err).toContain('principalArn');
    expect((await skiff('cluster', 'create', 'team-b', '--admin-arn', arn('role/Admin'))).code).toBe(0);
    const server = (
      await run('kubectl', ['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}'])
    ).out;
    const fleet = (...args: string[]) => run('kubectl', ['--server', `${server}/clusters/system`, ...args]);
    const patch = (entries: object[]) =>
      fleet('patch', 'cluster', 'team-a', '--type=merge', '-p', JSON.stringify({ spec: { accessEntries: entries } }));
    const wrong = await patch([{ principalArn: arn('user/bob'), kubernetesGroups: ['system:masters'] }]);
    expect(wrong.err).toContain('a group must not begin with system:');
    expect((await patch([{ principalArn: 'bob' }])).err).toContain('principalArn');
    expect((await patch([{ ...admin, principalArn: arn('user/bob') }])).err).toBe('');
    for (const name of ['team-a', 'team-b']) {
      const made = await skiff('kubeconfig', '--aws', '--cluster', name, '--sts-endpoint', sts.origin);
      expect(made.err).toBe('');
      kubeconfigs.set(name, join(scratch, `${name}.kubeconfig`));
      writeFileSync(kubeconfigOf(name), made.out);
    }
    expect((await by('AVIEWER', ['auth', 'can-i', '*', '*'], 'team-a')).out).toBe('yes\n');
    expect((await by('AVIEWER', ['get', 'namespaces'], 'team-b')).err).toMatch(/Unauthorized|logged in/);
    expect((await by('AADMIN', ['get', 'namespaces'], 'team-a')).err).toMatch(/Unauthorized|logged in/);
    expect((await by('AADMIN', ['auth', 'can-i', '*', '*'], 'team-b')).out).toBe('yes\n');
    // A token of the one is none of the other.
    const uid = (await fleet('get', 'cluster', 'team-a', '-o', 'jsonpath={.metadata.uid}')).out;
    const { out } = await run(
      process.execPath,
      [main, 'token', '--cluster-id', uid, '--sts-endpoint', sts.origin],
      credentials('AVIEWER'),
    );
    const { token } = JSON.parse(out).status;
    const withToken = (path: string) =>
      run('kubectl', [
        '--kubeconfig',
        kubeconfigOf('team-a'),
        '--server',
        `${server}${path}`,
        '--token',
        token,
        'get',
        'namespaces',
      ]);
    expect((await withToken('/clusters/team-a')).code).toBe(0);
    for (const path of ['', '/clusters/team-b', '/clusters/system']) expect((await withToken(path)).code).not.toBe(0);
  });

  it('are out once their entry is', async () => {
    expect((await by('AVIEWER', ['auth', 'whoami'])).code).toBe(0);
    configure([admin]);
    await until(async () => (await by('AVIEWER', ['auth', 'whoami'])).code !== 0);
    expect((await by('AADMIN', ['auth', 'whoami'])).code).toBe(0);
  });

  it.skipIf(!onPath('aws'))('may use aws eks get-token: its tokens are of the same kind', async () => {
    const args = ['eks', 'get-token', '--cluster-name', 'lab', '--region', 'eu-north-1', '--output', 'json'];
    const made = await run('aws', args, { ...credentials('AADMIN'), AWS_ENDPOINT_URL_STS: sts.origin });
    expect(made.err).toBe('');
    const { token } = JSON.parse(made.out).status;
    const plain = [
      '--kubeconfig',
      join(scratch, 'plain'),
      'auth',
      'whoami',
      '-o',
      'jsonpath={.status.userInfo.username}',
    ];
    writeFileSync(join(scratch, 'plain'), (await skiff('kubeconfig')).out.replace(/token: .*/, `token: ${token}`));
    expect((await run('kubectl', plain)).out).toBe(session('Admin', 'mary'));
  });
});
