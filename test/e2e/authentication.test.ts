// Who comes in, over real connections: tokens of an issuer with kubectl, client certificates, headers of impersonation,
// strangers, and a configuration that changes while the server runs.
import 'reflect-metadata';
import { execFile } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer, type TestIssuer } from '../../functions/apiserver/authn/jwt/issuer-for-tests.ts';
import { type ControlPlane, startControlPlane } from '../../functions/entry/local.ts';
import { describeWith, kubectlMissing } from './needs.ts';

const run = promisify(execFile);
const scratch = mkdtempSync(join(tmpdir(), 'skiff-authentication-'));
const file = join(scratch, 'authentication.yaml');
const told: string[] = [];
let issuer: TestIssuer;
let plane: ControlPlane;

const document = (prefix: string, anonymous?: object): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    ...(anonymous && { anonymous }),
    jwt: [
      {
        issuer: { url: issuer.url, certificateAuthority: issuer.server.cert, audiences: ['a'] },
        claimMappings: { username: { claim: 'sub', prefix }, groups: { expression: 'claims.?groups.orValue([])' } },
        userValidationRules: [{ expression: "!user.username.startsWith('system:')" }],
      },
    ],
  });

beforeAll(async () => {
  issuer = await startIssuer();
  writeFileSync(file, document('oidc:'));
  const log = (line: string) => void told.push(line);
  plane = await startControlPlane({
    directory: join(scratch, 'data'),
    host: '127.0.0.1',
    port: 0,
    log,
    configuration: [file],
  });
});
afterAll(async () => {
  await plane?.close();
  await issuer?.server.close();
  rmSync(scratch, { recursive: true, force: true });
});

const REVIEW = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const QUESTION = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' });

interface Asked {
  path?: string;
  headers?: [string, string][];
  identity?: { cert: string; key: string };
}

/** HTTP/1.1, with headers exactly as given. */
const ask = ({ path = REVIEW, headers = [], identity }: Asked): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const method = path === REVIEW ? 'POST' : 'GET';
    const all = [...headers, ['host', 'server'], ...(method === 'POST' ? [['content-type', 'application/json']] : [])];
    if (method === 'POST') all.push(['content-length', String(QUESTION.length)]);
    const sent = requestHttps(
      {
        host: '127.0.0.1',
        port: plane.port,
        path,
        method,
        ca: plane.access.caCert,
        headers: all.flat() as never,
        agent: false,
        ...identity,
      },
      async (answer) => {
        let body = '';
        for await (const part of answer) body += part;
        resolve({ status: answer.statusCode ?? 0, body });
      },
    );
    sent.on('error', reject);
    sent.end(method === 'POST' ? QUESTION : undefined);
  });
const who = async (asked: Asked): Promise<unknown> => {
  const { status, body } = await ask(asked);
  return status === 201 ? JSON.parse(body).status.userInfo : status;
};
const bearer = (token: string): [string, string] => ['authorization', `Bearer ${token}`];

describe('tokens of an issuer', () => {
  it('make users of their claims', async () => {
    const groups = ['ops', 'a,b'];
    expect(await who({ headers: [bearer(issuer.token({ groups }))] })).toEqual({
      username: 'oidc:ada',
      groups: ['ops', 'a,b', 'system:authenticated'],
    });
    expect(await who({ headers: [bearer(issuer.token({ exp: 5 }))] })).toBe(401);
    expect(await who({ headers: [bearer(issuer.token({ aud: 'b' }))] })).toBe(401);
    expect(await who({ headers: [['authorization', `Basic ${issuer.token()}`]] })).toBe(401);
  });

  it('are reviewed with the reason why not', async () => {
    const review = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews' };
    const of = (token: string) =>
      plane.client('default').create(review, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        metadata: {},
        spec: { token },
      } as never);
    expect(await of(issuer.token())).toMatchObject({ status: { authenticated: true, user: { username: 'oidc:ada' } } });
    expect(await of(issuer.token({ exp: 5 }))).toMatchObject({
      status: { error: '[invalid bearer token, oidc: verify token: oidc: token is expired]' },
    });
    expect(await of('junk')).toMatchObject({ status: { error: 'invalid bearer token' } });
  });

  it('count in the clusters of the operator only, where tenants have none of their own', async () => {
    const clusters = { group: 'skiff.dev', version: 'v1', resource: 'clusters' };
    const fleet = plane.client('system');
    const cluster = (authentication: object) => ({
      apiVersion: 'skiff.dev/v1',
      kind: 'Cluster',
      metadata: { name: 'tenant' },
      spec: { authentication },
    });
    const { jwt } = JSON.parse(document('t:'));
    const bad = fleet.create(
      clusters,
      cluster({ jwt: [{ ...jwt[0], claimMappings: { username: { expression: 'foo' } } }] }),
    );
    await expect(bad).rejects.toMatchObject({
      code: 422,
      message: expect.stringContaining('spec.authentication.jwt[0].claimMappings.username.expression'),
    });
    await fleet.create(clusters, cluster({ jwt }));
    const body = { spec: { authentication: { jwt: [...jwt, ...jwt] } } };
    await expect(fleet.patch(clusters, '', 'tenant', { type: 'merge', body })).rejects.toMatchObject({
      code: 422,
      message: expect.stringContaining('spec.authentication.jwt[1].issuer.url: Duplicate value'),
    });
    const path = `/clusters/tenant${REVIEW}`;
    expect((await ask({ path, headers: [bearer(issuer.token())] })).status).toBe(401);
    // The issuer is near the control plane: it is not asked for a tenant.
    const asked = issuer.asked.get('/keys');
    expect((await ask({ path, headers: [bearer(issuer.token({ sub: 'eve' }))] })).status).toBe(401);
    expect(issuer.asked.get('/keys')).toBe(asked);
  });

  describeWith(kubectlMissing(), 'kubectl', () => {
    it('comes in with one', async () => {
      const ca = join(scratch, 'ca.crt');
      writeFileSync(ca, plane.access.caCert);
      const base = ['--kubeconfig=/dev/null', '--server', plane.access.server, `--certificate-authority=${ca}`];
      const kubectl = (...args: string[]) => run('kubectl', [...base, ...args]).then(({ stdout }) => stdout.trim());
      const token = ['--token', issuer.token({ groups: ['readers'] })];
      expect(await kubectl(...token, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}')).toBe('oidc:ada');
      await expect(kubectl(...token, 'get', 'namespaces')).rejects.toThrow(
        'User "oidc:ada" cannot list resource "namespaces"',
      );
      const admin = ['--token', plane.access.token];
      await kubectl(...admin, 'create', 'clusterrolebinding', 'readers', '--clusterrole=view', '--group=readers');
      await expect
        .poll(() => kubectl(...token, 'get', 'configmaps', '-n', 'kube-system', '-o', 'name'))
        .toContain('configmap/');
      await expect(kubectl('--token', issuer.token({ exp: 5 }), 'get', 'pods')).rejects.toThrow(
        'You must be logged in',
      );
    }, 60_000);
  });
});

describe('headers of impersonation', () => {
  const as: [string, string][] = [
    ['Impersonate-User', 'bob'],
    ['Impersonate-Group', 'a,b'],
    ['Impersonate-Group', 'c'],
    ['Impersonate-Extra-E.org%2fk', 'v'],
  ];
  const expected = { username: 'bob', groups: ['a,b', 'c', 'system:authenticated'], extra: { 'e.org/k': ['v'] } };

  it('are taken one by one, over HTTP/1.1', async () => {
    expect(await who({ headers: [bearer(plane.access.token), ...as] })).toEqual(expected);
  });

  it('and over HTTP/2', async () => {
    const session = connectHttp2(plane.access.server, { ca: plane.access.caCert });
    const stream = session.request({
      ':path': REVIEW,
      ':method': 'POST',
      'content-type': 'application/json',
      authorization: `Bearer ${plane.access.token}`,
      'impersonate-user': 'bob',
      'impersonate-group': ['a,b', 'c'],
      'impersonate-extra-e.org%2fk': 'v',
    });
    stream.end(QUESTION);
    let body = '';
    for await (const part of stream) body += part;
    session.close();
    expect(JSON.parse(body).status.userInfo).toEqual(expected);
  });

  it('those of a front proxy are not believed', async () => {
    const remote: [string, string][] = [
      ['X-Remote-User', 'admin'],
      ['X-Remote-Group', 'system:masters'],
    ];
    expect(await who({ headers: remote })).toBe(401);
    const { frontProxy } = JSON.parse(readFileSync(join(scratch, 'data', 'pki.json'), 'utf8'));
    expect(await who({ headers: remote, identity: { cert: frontProxy.cert, key: frontProxy.key } })).toBe(401);
    expect(await who({ headers: [...remote, bearer(issuer.token())] })).toMatchObject({ username: 'oidc:ada' });
  });
});

describe('the token of a WebSocket', () => {
  const protocol = (token: string): string =>
    `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`;
  const upgrade = (protocols: string, ...headers: [string, string][]) =>
    ask({
      path: '/api/v1/namespaces/default/pods/none/exec?command=x',
      headers: [['connection', 'Upgrade'], ['upgrade', 'websocket'], ['sec-websocket-protocol', protocols], ...headers],
    }).then(({ status }) => status);

  it('is one of its subprotocols, beside another', async () => {
    const good = protocol(plane.access.token);
    expect(await upgrade(`${good}, v5.channel.k8s.io`)).toBe(404);
    expect(await upgrade(`v5.channel.k8s.io,${protocol(issuer.token())}`)).toBe(403);
    for (const bad of [good, `${good}, ${good}, x`, `${protocol('junk')}, x`, `${good}=, x`, 'v5.channel.k8s.io'])
      expect(await upgrade(bad), bad).toBe(401);
    // A header that tells who asks comes first.
    expect(await upgrade(`${good}, x`, bearer(issuer.token()))).toBe(403);
    expect(await upgrade(`${good}, x`, bearer('junk'))).toBe(404);
  });
});

describe('client certificates', () => {
  const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const made = async (subject: x509.JsonName, more: { usage?: string; until?: number; own?: boolean } = {}) => {
    const { caCert, caKey } = JSON.parse(readFileSync(join(scratch, 'data', 'pki.json'), 'utf8'));
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const der = createPrivateKey(caKey).export({ type: 'pkcs8', format: 'der' });
    const signingKey = more.own
      ? keys.privateKey
      : await crypto.subtle.importKey('pkcs8', Uint8Array.from(der), ALGORITHM, false, ['sign']);
    const certificate = await x509.X509CertificateGenerator.create({
      subject,
      issuer: new x509.X509Certificate(caCert).subject,
      notBefore: new Date(Date.now() - 7_200_000),
      notAfter: new Date(Date.now() + (more.until ?? 3_600_000)),
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.ExtendedKeyUsageExtension([more.usage ?? '1.3.6.1.5.5.7.3.2'])],
    });
    const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    return {
      cert: certificate.toString('pem'),
      key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
    };
  };
  const UID = '1.3.6.1.4.1.57683.2';

  it('name user, groups and uid', async () => {
    const identity = await made([{ CN: ['ann'] }, { O: ['x'] }, { O: ['y,z'] }, { [UID]: ['U'] }]);
    const fingerprint = new X509Certificate(identity.cert).fingerprint256.replaceAll(':', '').toLowerCase();
    expect(await who({ identity })).toEqual({
      username: 'ann',
      uid: 'U',
      groups: ['x', 'y,z', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
    });
    // Before any token.
    expect(await who({ identity, headers: [bearer(plane.access.token)] })).toMatchObject({ username: 'ann' });
    expect(await who({ identity, headers: [bearer('junk')] })).toMatchObject({ username: 'ann' });
  });

  it.each<[string, x509.JsonName, object]>([
    ['that has ended', [{ CN: ['ann'] }], { until: -1000 }],
    ['of a server', [{ CN: ['ann'] }], { usage: '1.3.6.1.5.5.7.3.1' }],
    ['that another signed', [{ CN: ['ann'] }], { own: true }],
    ['with two uids', [{ CN: ['ann'] }, { [UID]: ['U'] }, { [UID]: ['V'] }], {}],
  ])('one %s is refused, on every path, but a good token beside it counts', async (_name, subject, more) => {
    const identity = await made(subject, more);
    expect(await who({ identity })).toBe(401);
    expect((await ask({ identity, path: '/healthz' })).status).toBe(401);
    expect(await who({ identity, headers: [bearer(issuer.token())] })).toMatchObject({ username: 'oidc:ada' });
  });
});

describe('the file changes', () => {
  const status = async (path: string, headers: [string, string][] = []) => (await ask({ path, headers })).status;

  it('who comes in changes with it; one that does not stand changes nothing', async () => {
    expect([await status('/healthz'), await status('/version'), await status('/api')]).toEqual([200, 200, 401]);
    writeFileSync(file, document('new:', { enabled: true, conditions: [{ path: '/livez' }] }));
    const token = issuer.token();
    await expect
      .poll(() => who({ headers: [bearer(token)] }), { timeout: 5_000 })
      .toMatchObject({ username: 'new:ada' });
    expect([await status('/livez'), await status('/healthz'), await status('/api')]).toEqual([200, 401, 401]);
    writeFileSync(file, document('worse:').replace('"sub"', '""'));
    await expect
      .poll(() => told, { timeout: 5_000 })
      .toContainEqual(expect.stringContaining('the configuration stays as it was'));
    expect(await who({ headers: [bearer(token)] })).toMatchObject({ username: 'new:ada' });
    writeFileSync(file, document('new:', { enabled: true }));
    // Then strangers are known as such, and may what they are allowed.
    await expect.poll(() => status('/api'), { timeout: 5_000 }).toBe(403);
    expect([await status('/healthz'), await status('/version')]).toEqual([200, 200]);
    expect(await status('/api', [bearer('junk')])).toBe(401);
    writeFileSync(file, document('new:', { enabled: false }));
    await expect.poll(() => status('/healthz'), { timeout: 5_000 }).toBe(401);
    expect(await status('/api', [bearer(plane.access.token)])).toBe(200);
  });
});
