import { describe, expect, it } from 'vitest';
import { createApiServer } from '../apiserver/app.ts';
import { staticTokens, user } from '../apiserver/authn/authenticator.ts';
import { mastersAuthorizer } from '../apiserver/authz/authorizer.ts';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { createReplicas } from '../store/replica.ts';
import { createLambdaHandlers } from './lambda.ts';

const clock = createSystemClock();
const store = createMemoryStore();
const api = createApiServer({
  store,
  clock,
  replicas: createReplicas(store, { clock, bytesMax: 1 << 26, windowChanges: 1000, windowMs: 60_000 }),
  authenticator: staticTokens(new Map([['t', user('admin', ['system:masters'])]])),
  authorizer: mastersAuthorizer(),
  disableAdmission: ['ServiceAccount'],
});
const { buffered } = createLambdaHandlers(api);

/** A function URL's event (payload format 2.0). */
const call = async (method: string, path: string, body?: object, query = '') => {
  const event = {
    version: '2.0',
    routeKey: '$default',
    rawPath: path,
    rawQueryString: query,
    headers: { authorization: 'Bearer t', 'content-type': 'application/json', host: 'abc.lambda-url.us-east-1.on.aws' },
    requestContext: {
      domainName: 'abc.lambda-url.us-east-1.on.aws',
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
    },
    isBase64Encoded: false,
    ...(body && { body: JSON.stringify(body) }),
  };
  const result = await buffered(event as unknown as Parameters<typeof buffered>[0], {} as never);
  const text = result.isBase64Encoded ? Buffer.from(result.body, 'base64').toString() : result.body;
  return { status: result.statusCode, body: text };
};

describe('the API server behind Lambda', () => {
  it('creates, reads and refuses', async () => {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } };
    expect((await call('POST', '/api/v1/namespaces', namespace)).status).toBe(201);
    expect(JSON.parse((await call('GET', '/api/v1/namespaces/a')).body)).toMatchObject({ metadata: { name: 'a' } });
    expect((await call('POST', '/api/v1/namespaces', namespace)).status).toBe(409);
    expect((await call('GET', '/clusters/team-a/api/v1/namespaces/a')).status).toBe(404);
  });

  it('answers a watch as a long poll: what came within timeoutSeconds', async () => {
    const watching = call('GET', '/api/v1/namespaces', undefined, 'watch=true&resourceVersion=0&timeoutSeconds=1');
    const { status, body } = await watching;
    expect(status).toBe(200);
    expect(
      body
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).type),
    ).toEqual(['ADDED']);
  });
});
