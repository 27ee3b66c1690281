// Webhooks that answer late, much, or nonsense, and patches that break what they change: what the write is answered,
// confirmed against kube-apiserver 1.36.1 unless a case says otherwise.
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestServer } from '../../custom/server-for-tests.ts';
import { startHttps, type TestServer } from '../../outgoing/https-for-tests.ts';

// biome-ignore lint/suspicious/noExplicitAny: reviews of any kind
type Review = any;
type Respond = (review: Review, response: ServerResponse, calls: number) => object | string | undefined;
type Server = Awaited<ReturnType<typeof createTestServer>>;

const allowed = (review: Review, more: object = {}) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  response: { uid: review.request.uid, allowed: true, ...more },
});

let hook: TestServer;
let server: Server;
let respond: Respond = allowed;
let calls = 0;
const at = '/api/v1/namespaces/default/configmaps';
const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, data: { k: 'v' } };

const configure = async (kind: string): Promise<void> => {
  const path = `/apis/admissionregistration.k8s.io/v1/${kind.toLowerCase()}webhookconfigurations`;
  const webhook = {
    name: 'w.example.com',
    clientConfig: { url: `${hook.url}/w`, caBundle: hook.caBundle },
    rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 1,
  };
  const { status, body } = await server.send('POST', path, {
    metadata: { name: kind.toLowerCase() },
    webhooks: [webhook],
  });
  if (status !== 201) throw new Error(JSON.stringify(body));
};

beforeAll(async () => {
  hook = await startHttps((_request, response, body) => {
    const answer = respond(body ? JSON.parse(body) : undefined, response, calls++);
    if (answer === undefined) return;
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
});
afterAll(() => hook.close());
beforeEach(async () => {
  server = await createTestServer();
  calls = 0;
});

const FAILED = 'Internal error occurred: failed calling webhook "w.example.com": ';
const CALL = `${FAILED}failed to call webhook: `;
const ABSENT = `${FAILED}received invalid webhook response: webhook response was absent`;

describe.each(['Mutating', 'Validating'])('a %s webhook', (kind) => {
  const answers: [string, Respond, number, string][] = [
    [
      'an answer in YAML',
      (r) => `apiVersion: admission.k8s.io/v1\nkind: AdmissionReview\nresponse: {uid: ${r.request.uid}, allowed: true}`,
      201,
      '',
    ],
    ['status 201', (r, res) => void res.writeHead(201).end(JSON.stringify(allowed(r))), 201, ''],
    ['no apiVersion and kind', (r) => ({ response: allowed(r).response }), 500, FAILED],
    ['10 MB of nothing', () => ' '.repeat(10 << 20), 500, ABSENT],
    ['null', () => 'null', 500, ABSENT],
    ['a list', () => '[]', 500, `${CALL}couldn't get version/kind; json parse error: json: cannot unmarshal array`],
    ['half a JSON', () => '{garbage', 500, `${CALL}couldn't get version/kind; json parse error: invalid character 'g'`],
    [
      'another kind',
      (r) => ({ ...allowed(r), kind: 'Other' }),
      500,
      `${CALL}no kind "Other" is registered for version "admission.k8s.io/v1"`,
    ],
    [
      'another group',
      (r) => ({ ...allowed(r), apiVersion: 'foo/v1' }),
      500,
      `${CALL}no kind "AdmissionReview" is registered for version "foo/v1"`,
    ],
    [
      'another uid',
      (r) => allowed(r, { uid: 'x' }),
      500,
      `${FAILED}received invalid webhook response: expected response.uid=`,
    ],
    [
      'an empty 204',
      (_r, res) => void res.writeHead(204).end(),
      500,
      `${CALL}0-length response with status code: 204 and content type: application/json`,
    ],
    [
      'a head, then nothing',
      (_r, res) => void res.writeHead(200).write('{'),
      500,
      `${CALL}unexpected error when reading response body. Please retry. Original error: context deadline exceeded`,
    ],
    [
      'a letter at a time',
      (_r, res) => void setInterval(() => res.write(' '), 50).unref(),
      500,
      'context deadline exceeded',
    ],
    [
      'an end within the body',
      (_r, res) => void res.writeHead(200, { 'content-length': 9 }).write('{', () => res.destroy()),
      500,
      `${CALL}unexpected error when reading response body. Please retry. Original error: unexpected EOF`,
    ],
    [
      'much later, on and on',
      (_r, res) => void res.writeHead(429, { 'retry-after': '1' }).end(),
      500,
      'context deadline exceeded',
    ],
    [
      '403 in its own words',
      (_r, res) => void res.writeHead(403, { 'content-type': 'text/plain' }).end('boom'),
      500,
      `${CALL}boom`,
    ],
  ];
  it.each(answers)('%s', async (_what, answer, code, words) => {
    respond = answer;
    await configure(kind);
    const began = performance.now();
    const { status, body } = await server.send('POST', at, map);
    expect([status, status === 201 ? '' : body.message]).toEqual([code, expect.stringContaining(words)]);
    expect(performance.now() - began).toBeLessThan(2500);
  });

  it('that wants to be asked later is, within its time', async () => {
    respond = (r, res, n) => (n > 0 ? allowed(r) : void res.writeHead(503, { 'retry-after': '0' }).end());
    await configure(kind);
    expect((await server.send('POST', at, map)).status).toBe(201);
    expect(calls).toBe(2);
  });

  it('sends no more warnings than headers hold', async () => {
    respond = (r) => allowed(r, { warnings: Array.from({ length: 500 }, (_, i) => `${i}`.padEnd(1000, 'w')) });
    await configure(kind);
    const { status, headers } = await server.send('POST', at, map);
    expect(status).toBe(201);
    expect(headers.get('warning')?.match(/299 - /g)).toHaveLength(16);
    expect(headers.get('warning')?.length).toBeLessThan(5000);
  });

  it('that is led to a plain connection is not followed, unlike upstream: reviews hold secrets', async () => {
    respond = (_r, res) => void res.writeHead(307, { location: 'http://127.0.0.1:1/' }).end();
    await configure(kind);
    expect((await server.send('POST', at, map)).body.message).toContain('unsupported protocol scheme "http"');
  });
});

describe('a patch', () => {
  const INTERNAL = 'Internal error occurred: ';
  const patches: [object[] | string, number, string][] = [
    [[{ op: 'foo', path: '/data' }], 500, `${INTERNAL}Unexpected kind: foo`],
    [[{ path: '/data' }], 500, `${INTERNAL}Unexpected kind: unknown`],
    [[{ op: 'add', value: 1 }], 500, `${INTERNAL}add operation failed to decode path: missing value`],
    [
      [{ op: 'remove', path: '/data/no' }],
      500,
      `${INTERNAL}error in remove for path: '/data/no': Unable to remove nonexistent key: no: missing value`,
    ],
    [[{ op: 'test', path: '/data/k', value: 'x' }], 500, `${INTERNAL}testing value /data/k failed: test failed`],
    [
      [{ op: 'add', path: '/a/b/c', value: 'x' }],
      500,
      `${INTERNAL}add operation does not apply: doc is missing path: "/a/b/c": missing value`,
    ],
    [[{ op: 'add', path: '/foo', value: 'x' }], 201, ''],
    [[{ op: 'add', path: '/data/n', value: 5 }], 500, INTERNAL],
    [[{ op: 'replace', path: '/metadata/name', value: 'other' }], 201, ''],
    [[{ op: 'replace', path: '/metadata/name', value: 'Bad_Name' }], 422, 'metadata.name: Invalid value'],
    [[{ op: 'remove', path: '/metadata/name' }], 422, 'name or generateName is required'],
    [[{ op: 'replace', path: '/metadata/namespace', value: 'other' }], 400, 'does not match the namespace'],
    [[{ op: 'remove', path: '/metadata' }], 422, 'name or generateName is required'],
    [
      [{ op: 'replace', path: '/kind', value: 'Nope' }],
      500,
      `${INTERNAL}no kind "Nope" is registered for version "v1"`,
    ],
    [
      [{ op: 'replace', path: '/apiVersion', value: 'v2' }],
      500,
      `${INTERNAL}no kind "ConfigMap" is registered for version "v2"`,
    ],
    [
      [
        { op: 'remove', path: '/kind' },
        { op: 'remove', path: '/apiVersion' },
      ],
      201,
      '',
    ],
    [[{ op: 'replace', path: '', value: { metadata: { name: 'x' } } }], 201, ''],
    [[{ op: 'replace', path: '', value: null }], 500, `${INTERNAL}replace operation value must be object or array`],
    ['{}', 500, `${FAILED}received undecodable patch in webhook response: json: cannot unmarshal object into Go value`],
    [
      'xx',
      500,
      `${FAILED}received undecodable patch in webhook response: invalid character 'x' looking for beginning of value`,
    ],
    ['null', 201, ''],
  ];
  it.each(patches)('%j', async (patch, code, words) => {
    const text = typeof patch === 'string' ? patch : JSON.stringify(patch);
    respond = (r) => allowed(r, { patchType: 'JSONPatch', patch: Buffer.from(text).toString('base64') });
    await configure('Mutating');
    const { status, body } = await server.send('POST', at, map);
    expect([status, status === 201 ? '' : body.message]).toEqual([code, expect.stringContaining(words)]);
    if (status === 201) expect(body).toMatchObject({ kind: 'ConfigMap', metadata: { namespace: 'default' } });
  });
});
