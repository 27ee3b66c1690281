import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { tooManyRequests } from '../../machinery/status.ts';
import { startHttps } from '../outgoing/https-for-tests.ts';
import { type AuditedServerOptions, createAuditedServer, type Told } from './server-for-tests.ts';

const CMS = '/api/v1/namespaces/default/configmaps';
const SECRETS = '/api/v1/namespaces/default/secrets';
const open = async (rules: object[], more: Partial<AuditedServerOptions> & { stages?: object } = {}) => {
  const { stages, ...options } = more;
  const server = await createAuditedServer({ policy: { rules, ...stages }, ...options });
  const send = async (method: string, path: string, body?: object | string, headers: Record<string, string> = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const all = { authorization: 'Bearer admintoken', 'content-type': 'application/json', ...headers };
    const init = { method, headers: all, ...(body !== undefined && { body: text }) };
    const response = await server.app.fetch(new Request(`https://x${path}`, init));
    return { status: response.status, id: response.headers.get('audit-id'), text: await response.text() };
  };
  const stagesTold = () => server.events().map((event) => event.stage);
  return { ...server, send, stagesTold };
};
const map = (name: string, data: object = { a: '1' }) => ({ metadata: { name }, data });
const last = (events: Told[]): Told => events.at(-1);

describe('a level', () => {
  it.each([
    ['None', undefined, undefined],
    ['Metadata', false, false],
    ['Request', true, false],
    ['RequestResponse', true, true],
  ])('of %s tells of bodies: %s, of answers: %s', async (level, asked, answered) => {
    const { send, events, counts } = await open([{ level }]);
    await send('POST', CMS, map('a'));
    const told = last(events());
    expect(told && 'requestObject' in told).toBe(asked);
    expect(told && 'responseObject' in told).toBe(answered);
    expect(counts.levels.get(level)).toBe(1);
    expect(counts.events).toBe(asked === undefined ? 0 : 2);
  });

  it('of Metadata or None tells nothing of any body', async () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));
    let state = seed;
    const random = (below: number): number => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return Math.floor((state / 2147483648) * below);
    };
    const { send, texts } = await open([{ level: 'None', verbs: ['get'] }, { level: 'Metadata' }]);
    const canary = `canary${seed}`;
    const types = ['application/merge-patch+json', 'application/strategic-merge-patch+json'];
    for (let i = 0; i < 150; i++) {
      const name = `n${random(6)}`;
      const one = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name, annotations: { [`x/${i}`]: canary } },
        stringData: { k: canary },
      };
      const path = `${SECRETS}/${name}`;
      const query = ['', '?dryRun=All', '?pretty=1', '?fieldValidation=Strict'][random(4)] ?? '';
      const accept = {
        accept:
          ['application/json', 'application/yaml', 'application/json;as=Table;v=v1;g=meta.k8s.io'][random(3)] ?? '',
      };
      const way = random(7);
      if (way === 0) await send('POST', `${SECRETS}${query}`, one, accept);
      else if (way === 1) await send('PUT', `${path}${query}`, one, accept);
      else if (way === 2)
        await send('PATCH', `${path}${query}`, one, { ...accept, 'content-type': types[random(2)] ?? '' });
      else if (way === 3) {
        const text = `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\nstringData: {k: ${canary}}\n`;
        await send('PATCH', `${path}?fieldManager=m&force=true`, text, {
          'content-type': 'application/apply-patch+yaml',
        });
      } else if (way === 4) await send('GET', `${SECRETS}${random(2) ? `/${name}` : ''}${query}`, undefined, accept);
      else if (way === 5) await send('DELETE', path, { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: {} });
      else await send('PATCH', path, `{"x": "${canary}"`, { 'content-type': types[0] ?? '' });
    }
    expect(texts.length, `SEED=${seed}`).toBeGreaterThan(100);
    for (const text of texts) expect(text.includes(canary), `SEED=${seed} ${text}`).toBe(false);
  });
});

describe('events', () => {
  it('of omitted stages are not told, and neither are owners of fields where they are omitted', async () => {
    const rule = { level: 'RequestResponse', omitStages: ['RequestReceived'], omitManagedFields: true };
    const { send, stagesTold, texts } = await open([rule]);
    await send('POST', CMS, map('a'));
    await send('GET', CMS);
    await send('GET', CMS, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    await send('PUT', `${CMS}/a`, { metadata: { name: 'a', managedFields: [] }, data: { a: '2' } });
    expect(stagesTold()).toEqual(['ResponseComplete', 'ResponseComplete', 'ResponseComplete', 'ResponseComplete']);
    for (const text of texts) expect(text).not.toContain('managedFields');
    expect(texts[1]).toContain('"data":{"a":"1"}');
  });
  it('are one line each, whatever a body looks like', async () => {
    const { send, texts, events } = await open([{ level: 'RequestResponse' }]);
    await send('POST', CMS, JSON.stringify(map('a', { text: 'one\ntwo\u2028three "é" \\' }), null, 2));
    await send('PATCH', `${CMS}/a`, '{\r\n  "data": {\n "n": "1"}}', {
      'content-type': 'application/merge-patch+json',
    });
    await send('GET', `${CMS}/a?pretty=true`);
    for (const text of texts) expect(text).not.toMatch(/[\r\n]/);
    expect(events()[1].requestObject.data.text).toBe('one\ntwo\u2028three "é" \\');
    expect(events()[3].requestObject).toEqual({ data: { n: '1' } });
    expect(events()[5].responseObject.data.n).toBe('1');
  });
  it('carry the id that the client chose and is told, and the cluster', async () => {
    const { send, events } = await open([{ level: 'Metadata' }]);
    for (const path of ['/version', '/apis', `${CMS}/none`, CMS])
      expect((await send('GET', path, undefined, { 'audit-id': 'mine' })).id).toBe('mine');
    const { id } = await send('GET', '/clusters/team/healthz');
    expect(last(events())).toMatchObject({
      auditID: id,
      requestURI: '/clusters/team/healthz',
      annotations: { 'skiff.dev/cluster': 'team' },
    });
  });
  it('tell of the end of a watch that the client leaves', async () => {
    const { app, stagesTold } = await open([{ level: 'Metadata' }]);
    const headers = { authorization: 'Bearer admintoken' };
    const response = await app.fetch(new Request(`https://x${CMS}?watch=true`, { headers }));
    expect(stagesTold()).toEqual(['RequestReceived', 'ResponseStarted']);
    await response.body?.cancel();
    await expect.poll(stagesTold).toEqual(['RequestReceived', 'ResponseStarted', 'ResponseComplete']);
  });
  it('tell of the end of a watch that the client has left before it began', async () => {
    const { app, stagesTold } = await open([{ level: 'Metadata' }]);
    const headers = { authorization: 'Bearer admintoken' };
    const left = { headers, signal: AbortSignal.abort() };
    // No listener asks for a body that nobody takes.
    await app.fetch(new Request(`https://x${CMS}?watch=true`, left));
    expect(stagesTold()).toEqual(['RequestReceived', 'ResponseStarted', 'ResponseComplete']);
  });
  it('tell of requests that quotas refuse, and of faults', async () => {
    const refuse = () => {
      throw tooManyRequests('too many requests', 1);
    };
    const full = await open([{ level: 'Metadata' }], { admitRequest: refuse });
    expect((await full.send('GET', CMS)).status).toBe(429);
    expect(last(full.events())).toMatchObject({ stage: 'ResponseComplete', responseStatus: { code: 429 } });
    const broken = await open([{ level: 'RequestResponse' }], {
      admission: [{ name: 'Broken', admit: () => Promise.reject(new Error('secret of ours')) }],
    });
    expect((await broken.send('POST', CMS, map('a'))).status).toBe(500);
    expect(last(broken.events())).toMatchObject({ stage: 'Panic', responseStatus: { code: 500 } });
    expect(broken.texts.join()).not.toContain('secret of ours');
  });
  it('of slow requests say how long they took', async () => {
    const { send, events } = await open([{ level: 'Metadata' }], {
      admission: [{ name: 'Slow', admit: () => delay(520) }],
    });
    await send('POST', CMS, map('a'));
    expect(last(events()).annotations['apiserver.latency.k8s.io/total']).toMatch(
      /^(5\d\d|[6-9]\d\d)(\.\d+)?ms$|^\d+(\.\d+)?s$/,
    );
  });
});

describe('a sink', () => {
  it('that has to keep events and cannot lets no request pass', async () => {
    const { send, counts } = await open([{ level: 'None', verbs: ['get'] }, { level: 'Metadata' }], {
      process: () => false,
    });
    const refused = await send('POST', CMS, map('a'));
    expect(refused.status).toBe(500);
    expect(refused.text).toContain('failed to store audit event');
    expect((await send('GET', `${CMS}/a`)).status).toBe(404);
    expect(counts.rejected).toBe(1);
  });
  it('that is slow holds the request and its answer', async () => {
    const kept: string[] = [];
    const slow = async (event: { json: string }) => {
      await delay(30);
      kept.push(JSON.parse(event.json).stage);
      return true;
    };
    const { send } = await open([{ level: 'Metadata' }], { process: slow });
    expect((await send('POST', CMS, map('a'))).status).toBe(201);
    expect(kept).toEqual(['RequestReceived', 'ResponseComplete']);
  });
});

describe('mutating webhooks', async () => {
  const answered = await startHttps((_request, response, body) => {
    const { uid, object } = JSON.parse(body).request;
    const patch = [{ op: 'add', path: '/data/by', value: 'hook' }];
    const changes = object.metadata.name === 'a' && {
      patchType: 'JSONPatch',
      patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
    };
    const review = { uid, allowed: true, auditAnnotations: { seen: object.metadata.name }, ...changes };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: review }));
  });
  afterAll(() => answered.close());
  const webhook = {
    name: 'hook.example.com',
    clientConfig: { url: answered.url, caBundle: answered.caBundle },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
  };
  const configuration = { metadata: { name: 'hooks' }, webhooks: [webhook] };
  it.each([
    ['Metadata', false],
    ['Request', true],
  ])('say at the level %s whether they changed something, by what: %s', async (level, byWhat) => {
    const { send, events } = await open([{ level }]);
    await send('POST', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations', configuration);
    const annotationsOf = async (name: string) => {
      expect((await send('POST', CMS, map(name))).status).toBe(201);
      return last(events()).annotations;
    };
    const [changed, left] = [await annotationsOf('a'), await annotationsOf('b')];
    const mutation = 'mutation.webhook.admission.k8s.io/round_0_index_0';
    const who = { configuration: 'hooks', webhook: 'hook.example.com' };
    expect(JSON.parse(changed[mutation])).toEqual({ ...who, mutated: true });
    expect(JSON.parse(left[mutation])).toEqual({ ...who, mutated: false });
    expect(changed['hook.example.com/seen']).toBe('a');
    const patch = changed['patch.webhook.admission.k8s.io/round_0_index_0'];
    if (byWhat)
      expect(JSON.parse(patch)).toMatchObject({ ...who, patch: [{ path: '/data/by' }], patchType: 'JSONPatch' });
    else expect(patch).toBeUndefined();
  });
});

it('tells the control plane’s own requests from those of an administrator', async () => {
  const rules = [{ level: 'None', users: ['system:skiff-control-plane'], verbs: ['list'] }, { level: 'Metadata' }];
  const { app, events } = await open(rules);
  const ask = (path: string, internal?: true) => {
    const request = new Request(`https://x${path}`, { headers: { authorization: 'Bearer admintoken' } });
    return app.fetch(request, internal ? { internal } : {});
  };
  await ask(CMS, true);
  expect(events()).toEqual([]);
  await ask(`${CMS}/a`, true);
  expect(last(events())).toMatchObject({ user: { username: 'system:skiff-control-plane' }, sourceIPs: ['127.0.0.1'] });
  await ask(CMS);
  expect(last(events()).user.username).toBe('admin');
});
