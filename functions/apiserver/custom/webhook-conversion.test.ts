import 'reflect-metadata';
import { createServer, type Server as HttpsServer } from 'node:https';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestServer, widget, widgets } from './server-for-tests.ts';

type Fields = Record<string, unknown>;
interface Review {
  request: { uid: string; desiredAPIVersion: string; objects: (Fields & { hostPort?: string; host?: string })[] };
}
type Answer = (review: Review) => unknown;

/** v1 has `hostPort: a:1`, v2 has `host: a` and `port: '1'`. */
const convert: Answer = ({ request: { uid, desiredAPIVersion, objects } }) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'ConversionReview',
  response: {
    uid,
    result: { status: 'Success' },
    convertedObjects: objects.map(({ hostPort, host, port, ...rest }) => {
      const [a, b] = hostPort?.split(':') ?? [];
      const fields = desiredAPIVersion.endsWith('/v2') ? { host: a, port: b } : { hostPort: `${host}:${port}` };
      return { ...rest, ...fields, apiVersion: desiredAPIVersion };
    }),
  },
});

let hook: HttpsServer;
let certificate = '';
let url = '';
let answer = convert;
let reviews: Review[] = [];

const selfSigned = async (): Promise<{ cert: string; key: string }> => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=hook',
    notBefore: new Date(Date.now() - 3_600_000),
    notAfter: new Date(Date.now() + 3_600_000),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${der.match(/.{1,64}/g)?.join('\n')}\n-----END PRIVATE KEY-----\n`;
  return { cert: made.toString('pem'), key };
};

beforeAll(async () => {
  const { cert, key } = await selfSigned();
  certificate = Buffer.from(cert).toString('base64');
  hook = createServer({ cert, key }, async (req, res) => {
    const parts: Buffer[] = [];
    for await (const part of req) parts.push(part as Buffer);
    const review = JSON.parse(Buffer.concat(parts).toString()) as Review;
    reviews.push(review);
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify(answer(review)));
  });
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  const address = hook.address();
  url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/convert`;
});
afterAll(() => void hook.close());

const text = { type: 'string' };
const v1 = { type: 'object', properties: { hostPort: text } };
const v2 = { type: 'object', properties: { host: text, port: text } };
const defined = async (caBundle = certificate) => {
  answer = convert;
  reviews = [];
  const server = await createTestServer();
  const versions = [
    { schema: v1, selectableFields: [{ jsonPath: '.hostPort' }] },
    { name: 'v2', schema: v2, selectableFields: [{ jsonPath: '.host' }, { jsonPath: '.port' }] },
  ];
  const conversion = {
    strategy: 'Webhook',
    webhook: { clientConfig: { url, caBundle }, conversionReviewVersions: ['v1'] },
  };
  await server.define(widgets(versions, {}, { conversion }));
  return server;
};
const at = (version: string) => `/apis/example.com/${version}/namespaces/default/widgets`;

it('objects are stored in one version and shown, changed and deleted in another', async () => {
  const { send, patch } = await defined();
  const made = await send('POST', at('v2'), widget('a', { host: 'x', port: '80' }, 'v2'));
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ apiVersion: 'example.com/v2', host: 'x', port: '80', metadata: { generation: 1 } });
  expect((await send('GET', `${at('v1')}/a`)).body).toMatchObject({ apiVersion: 'example.com/v1', hostPort: 'x:80' });
  expect((await patch('merge', `${at('v2')}/a`, { port: '81' })).body).toMatchObject({ host: 'x', port: '81' });
  expect((await send('GET', `${at('v1')}/a`)).body).toMatchObject({ hostPort: 'x:81', metadata: { generation: 2 } });
  await send('POST', at('v1'), widget('b', { hostPort: 'y:1' }));
  reviews = [];
  const { items } = (await send('GET', at('v2'))).body;
  expect(items.map((i: Fields) => [i.apiVersion, i.host, i.port])).toEqual([
    ['example.com/v2', 'x', '81'],
    ['example.com/v2', 'y', '1'],
  ]);
  expect(reviews.length).toBeLessThanOrEqual(1);
  const applied = await patch('apply', `${at('v2')}/b?fieldManager=m&force=true`, widget('b', { host: 'z' }, 'v2'));
  expect(applied.body).toMatchObject({ host: 'z', port: '1' });
  expect((await send('DELETE', `${at('v2')}/a`)).status).toBe(200);
  expect((await send('GET', `${at('v1')}`)).body.items).toHaveLength(1);
});

it('selects and watches by the fields of the version asked for', async () => {
  const { send, fetch, patch } = await defined();
  await send('POST', at('v1'), widget('a', { hostPort: 'x:80' }));
  await send('POST', at('v1'), widget('b', { hostPort: 'y:80' }));
  const names = async (version: string, selector: string) =>
    (await send('GET', `${at(version)}?fieldSelector=${selector}`)).body.items.map(
      (item: { metadata: { name: string } }) => item.metadata.name,
    );
  expect(await names('v2', 'host=x')).toEqual(['a']);
  expect(await names('v2', 'host!=x,port=80')).toEqual(['b']);
  expect(await names('v1', 'hostPort=y:80')).toEqual(['b']);
  const watching = (await fetch('GET', `${at('v2')}?watch=true&fieldSelector=host%3Dx&timeoutSeconds=1`)).text();
  await new Promise((resolve) => setTimeout(resolve, 100));
  await send('POST', at('v1'), widget('c', { hostPort: 'x:1' }));
  await patch('merge', `${at('v1')}/c`, { hostPort: 'x:2' });
  await patch('merge', `${at('v1')}/c`, { hostPort: 'z:3' });
  const events = (await watching)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.map((e) => [e.type, e.object.metadata.name, e.object.host, e.object.port])).toEqual([
    ['ADDED', 'a', 'x', '80'],
    ['ADDED', 'c', 'x', '1'],
    ['MODIFIED', 'c', 'x', '2'],
    ['DELETED', 'c', 'x', '2'],
  ]);
});

it('keeps metadata from the webhook, besides labels and annotations', async () => {
  const { send } = await defined();
  answer = (review) => {
    const whole = convert(review) as { response: { convertedObjects: { metadata: Fields }[] } };
    for (const one of whole.response.convertedObjects)
      one.metadata = { ...one.metadata, labels: { by: 'hook' }, finalizers: ['hook.dev/x'], generation: 9 };
    return whole;
  };
  const { body } = await send('POST', at('v2'), widget('a', { host: 'x', port: '1' }, 'v2'));
  expect(body.metadata).toMatchObject({ labels: { by: 'hook' }, generation: 1 });
  expect(body.metadata).not.toHaveProperty('finalizers');
});

it('what a webhook gets wrong is said, and nothing is stored', async () => {
  const { send } = await defined();
  const replaced =
    (from: RegExp, to: string): Answer =>
    (review) =>
      JSON.parse(JSON.stringify(convert(review)).replace(from, to));
  const wrong: [Answer, string][] = [
    [() => ({}), 'failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /, Kind='],
    [replaced(/"response"/, '"other"'), 'failed: no response provided'],
    [replaced(/io\/v1"/, 'io/v1beta1"'), 'failed: converting (v1beta1.ConversionReview) to (v1.ConversionReview)'],
    [replaced(/ConversionReview/, 'Other'), 'failed: no kind "Other" is registered'],
    [replaced(/"Success"/, '"Failed","message":"no way"'), 'failed: no way'],
    [replaced(/"Success"/, '"Failed"'), "failed: response.result.status was 'Failed', not 'Success'"],
    [replaced(/"uid":"/, '"uid":"x'), 'failed: expected response.uid='],
    [replaced(/"convertedObjects"/, '"none"'), 'returned 0 objects, expected 1'],
    [replaced(/"name":"a"/, '"name":"b"'), 'returned invalid object: must have the same name: a != b'],
    [replaced(/"kind":"Widget"/, '"kind":"X"'), 'returned invalid object at index 0: invalid kind (expected Widget'],
    [replaced(/example.com\/v1/, 'example.com/v9'), 'returned invalid object at index 0: invalid groupVersion'],
    [replaced(/"name":"a"/, '"name":"a","labels":{"bad label!":"x"}'), 'returned invalid metadata: metadata.labels: '],
  ];
  for (const [broken, words] of wrong) {
    answer = broken;
    const { status, body } = await send('POST', at('v2'), widget('a', { host: 'x', port: '1' }, 'v2'));
    expect([status, body.reason]).toEqual([500, undefined]);
    expect(body.message).toContain(`conversion webhook for example.com/v2, Kind=Widget ${words}`);
  }
  expect((await send('GET', at('v1'))).body.items).toEqual([]);
});

it('a webhook whose certificate is not trusted is not believed', async () => {
  const { send } = await defined(Buffer.from((await selfSigned()).cert).toString('base64'));
  const { status, body } = await send('POST', at('v2'), widget('a', { host: 'x', port: '1' }, 'v2'));
  expect(status).toBe(500);
  expect(body.message).toMatch(/failed: Post "https:\/\/127\.0\.0\.1:\d+\/convert\?timeout=30s": .*certificate/);
});
