import { expect, it } from 'vitest';
import { normal } from './normal-for-tests.ts';
import recorded from './recorded.json' with { type: 'json' };
import { createAuditedServer, type Told } from './server-for-tests.ts';

/**
 * Requests in order, and the events that kube-apiserver 1.36.1 told of them at the level RequestResponse. Where a body is
 * no JSON upstream loses the event; here it is told.
 */
interface Case {
  name: string;
  as?: string;
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
  code: number;
  events: Told[];
}
const cases = recorded as Case[];
const tokens: Record<string, string> = { admin: 'admintoken', alice: 'usertoken' };

const server = await createAuditedServer({ policy: { rules: [{ level: 'RequestResponse' }] } });

const send = async ({ as = 'admin', method, path, headers, body }: Case): Promise<Told[]> => {
  const all = { 'user-agent': 'test/1.0', ...(as !== 'none' && { authorization: `Bearer ${tokens[as]}` }), ...headers };
  const request = new Request(`https://x${path}`, { method, headers: all, ...(body !== undefined && { body }) });
  const before = server.texts.length;
  const response = await server.app.fetch(request, { remoteAddress: '::ffff:127.0.0.1' });
  await response.bytes();
  return server.texts.slice(before).map((text) => normal(JSON.parse(text)));
};

/** Upstream has no words for these bodies in JSON, and loses the event of the answer. */
const lost: Record<string, object | string> = {
  'patch with no JSON': '{"a":',
  'apply in YAML': { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { a: '1' } },
};

it.for(cases)('$name', async (one) => {
  const told = await send(one);
  const body = lost[one.name];
  if (body === undefined) expect(told).toEqual(one.events);
  else {
    expect(told.slice(0, 1)).toEqual(one.events);
    expect(told[1]).toMatchObject({
      stage: 'ResponseComplete',
      responseStatus: { code: one.code },
      requestObject: body,
    });
  }
});
