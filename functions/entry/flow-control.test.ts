import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from './local.ts';

/** Flow control over TLS and HTTP/2, on the whole control plane in this process. */

const GROUP = '/apis/flowcontrol.apiserver.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';
const directory = mkdtempSync(join(tmpdir(), 'skiff-flow-'));
let plane: ControlPlane;
const sessions: ClientHttp2Session[] = [];

const dial = (): ClientHttp2Session => {
  const session = connect(plane.access.server, { ca: plane.access.caCert });
  session.on('error', () => undefined);
  sessions.push(session);
  return session;
};

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  ms: number;
}

const send = (
  session: ClientHttp2Session,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: object,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    const own = { ':method': method, ':path': path, authorization: `Bearer ${plane.access.token}` };
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const stream = session.request({ ...own, ...(body && { 'content-type': type }), ...headers }, { endStream: !body });
    const answer: Answer = { status: 0, headers: {}, text: '', ms: 0 };
    stream.on('response', (given) => {
      answer.status = given[':status'] ?? 0;
      answer.headers = given;
    });
    stream.on('data', (chunk: Buffer) => {
      answer.text += chunk;
    });
    stream.on('error', reject);
    stream.on('end', () => resolve({ ...answer, ms: performance.now() - began }));
    if (body) stream.end(JSON.stringify(body));
  });

const as = (username: string, ...groups: string[]): Record<string, string> => ({
  'impersonate-user': username,
  ...(groups.length > 0 && { 'impersonate-group': groups.join(',') }),
});

const namesOf = async (session: ClientHttp2Session): Promise<Map<unknown, string>> => {
  const names = new Map<unknown, string>();
  for (const resource of ['flowschemas', 'prioritylevelconfigurations']) {
    const { items } = JSON.parse((await send(session, 'GET', `${GROUP}/${resource}`)).text);
    for (const { metadata } of items) names.set(metadata.uid, metadata.name);
  }
  return names;
};

const create = async (session: ClientHttp2Session, path: string, object: object): Promise<void> => {
  const { status, text } = await send(session, 'POST', path, {}, object);
  if (status !== 201) throw new Error(`${path}: ${status} ${text}`);
};

beforeAll(async () => {
  plane = await startControlPlane({ directory, host: '127.0.0.1', port: 0, log: () => undefined });
  const session = dial();
  await create(session, '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'viewers' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'viewers' }],
  });
  await create(session, MAPS, { metadata: { name: 'c' }, data: { text: 'x'.repeat(100) } });
});

afterAll(async () => {
  for (const session of sessions) session.destroy();
  await plane.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('every classified answer', () => {
  it('says its schema and level by uid, refusals too', async () => {
    const session = dial();
    const names = await namesOf(session);
    const marks = async (...asked: Parameters<typeof send> extends [unknown, ...infer Rest] ? Rest : never) => {
      const { status, headers } = await send(session, ...asked);
      const uids = [headers['x-kubernetes-pf-flowschema-uid'], headers['x-kubernetes-pf-prioritylevel-uid']];
      return [status, ...uids.map((uid) => names.get(uid) ?? uid)];
    };
    expect(await marks('GET', `${MAPS}/c`)).toEqual([200, 'exempt', 'exempt']);
    expect(await marks('GET', `${MAPS}/c`, as('bob'))).toEqual([403, 'global-default', 'global-default']);
    expect(await marks('GET', `${MAPS}/none`, as('bob', 'viewers'))).toEqual([404, 'global-default', 'global-default']);
    expect(await marks('POST', MAPS, {}, { metadata: { name: '_' } })).toEqual([422, 'exempt', 'exempt']);
    expect(await marks('GET', '/metrics', as('bob'))).toEqual([403, 'global-default', 'global-default']);
    expect(await marks('GET', '/no/such/path')).toEqual([404, 'exempt', 'exempt']);
    expect(await marks('GET', '/livez', as('bob'))).toEqual([200, 'probes', 'exempt']);
    expect(await marks('GET', '/version', as('system:node:n', 'system:nodes'))).toEqual([
      200,
      'system-nodes',
      'system',
    ]);
    const robot = as('system:serviceaccount:default:robot', 'system:serviceaccounts');
    expect(await marks('GET', `${MAPS}/c`, robot)).toEqual([403, 'service-accounts', 'workload-low']);
    // Before classification, and not classified at all.
    expect(await marks('GET', `${MAPS}/c`, { authorization: 'Bearer wrong' })).toEqual([401, undefined, undefined]);
    expect(await marks('GET', '/api/v1/namespaces/default/pods/p/log')).toEqual([404, undefined, undefined]);
  });

  it('follows its objects within a second, and a schema tells whether its level is there', async () => {
    const session = dial();
    const level = {
      metadata: { name: 'own-level' },
      spec: { type: 'Limited', limited: { nominalConcurrencyShares: 1, limitResponse: { type: 'Reject' } } },
    };
    const rules = [
      {
        subjects: [{ kind: 'User', user: { name: 'noxu' } }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      },
    ];
    const spec = { matchingPrecedence: 1000, priorityLevelConfiguration: { name: 'own-level' }, rules };
    await create(session, `${GROUP}/flowschemas`, { metadata: { name: 'own' }, spec });
    const dangling = async (): Promise<string> => {
      const { status } = JSON.parse((await send(session, 'GET', `${GROUP}/flowschemas/own`)).text);
      return status.conditions?.[0]?.status ?? '';
    };
    await expect.poll(dangling).toBe('True');
    const schemaNow = async (): Promise<string | undefined> => {
      const { headers } = await send(session, 'GET', '/version', as('noxu'));
      return (await namesOf(session)).get(headers['x-kubernetes-pf-flowschema-uid']);
    };
    expect(await schemaNow()).toBe('global-default');
    await create(session, `${GROUP}/prioritylevelconfigurations`, level);
    expect(await schemaNow()).toBe('own');
    await expect.poll(dangling).toBe('False');
    await send(session, 'DELETE', `${GROUP}/prioritylevelconfigurations/own-level`);
    expect(await schemaNow()).toBe('global-default');
    await expect.poll(dangling).toBe('True');
    await send(session, 'DELETE', `${GROUP}/flowschemas/own`);
  });

  it('is so with default objects that come back when they are deleted or changed', async () => {
    const session = dial();
    const read = async (name: string) => JSON.parse((await send(session, 'GET', `${GROUP}/flowschemas/${name}`)).text);
    const before = await read('catch-all');
    await send(session, 'DELETE', `${GROUP}/flowschemas/catch-all`);
    await send(session, 'PATCH', `${GROUP}/flowschemas/service-accounts`, {}, { spec: { matchingPrecedence: 8000 } });
    await expect
      .poll(async () => (await read('catch-all')).metadata?.uid ?? before.metadata.uid)
      .not.toBe(before.metadata.uid);
    await expect.poll(async () => (await read('service-accounts')).spec.matchingPrecedence).toBe(9000);
  });
});

/** Keeps `many` requests open until told to stop; counts their answers. */
const flood = (path: string, headers: Record<string, string>, many: number) => {
  const session = dial();
  const counts = new Map<number, number>();
  const refusals: Answer[] = [];
  const times: number[] = [];
  const on = { is: true };
  const work = async (): Promise<void> => {
    while (on.is) {
      const answer = await send(session, 'GET', path, headers);
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
      if (answer.status === 200) times.push(answer.ms);
      if (answer.status !== 429) continue;
      if (refusals.length < 10) refusals.push(answer);
      await delay(50);
    }
  };
  const all = Promise.all(Array.from({ length: many }, work));
  return {
    counts,
    refusals,
    /** Latencies of what was answered, in milliseconds. */
    times,
    stop: async () => {
      on.is = false;
      await all;
    },
  };
};

/** Latencies of requests one after the other, all of which are answered with 200. */
const polite = async (path: string, headers: Record<string, string>, count: number): Promise<number[]> => {
  const session = dial();
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const { status, ms, text } = await send(session, 'GET', path, headers);
    if (status !== 200) throw new Error(`${status} ${text}`);
    times.push(ms);
    await delay(2);
  }
  return times;
};

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1] ?? 0;

describe('a flood of 500 requests at once', () => {
  it('of one user is refused in part, and another user hardly notices', { timeout: 30_000 }, async () => {
    const loud = flood(`${MAPS}/c`, as('loud', 'viewers'), 500);
    await delay(300);
    const times = await polite(`${MAPS}/c`, as('quiet', 'viewers'), 20);
    await loud.stop();
    expect(loud.counts.get(200)).toBeGreaterThan(500);
    expect(loud.refusals.length).toBeGreaterThan(0);
    const [refusal] = loud.refusals;
    expect(refusal?.text).toBe('Too many requests, please try again later.\n');
    expect(Number(refusal?.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(refusal?.headers['x-kubernetes-pf-flowschema-uid']).toMatch(/^[0-9a-f-]{36}$/);
    // Both clients share this thread: their work is in the times of both.
    expect(median(times)).toBeLessThan(median(loud.times) / 2);
    const { text } = await send(dial(), 'GET', '/metrics');
    expect(text).toMatch(
      /apiserver_flowcontrol_rejected_requests_total\{flow_schema="global-default",[^}]*reason="queue-full"\} \d+/,
    );
    expect(text).toMatch(/apiserver_flowcontrol_current_executing_requests\{flow_schema="global-default",[^}]*\} 0\n/);
    expect(text).toMatch(/apiserver_flowcontrol_current_inqueue_requests\{flow_schema="global-default",[^}]*\} 0\n/);
  });

  it('of one tenant’s administrator leaves another tenant its turn', { timeout: 30_000 }, async () => {
    const session = dial();
    for (const name of ['loud', 'quiet'])
      await create(session, '/clusters/system/apis/skiff.dev/v1/clusters', {
        apiVersion: 'skiff.dev/v1',
        kind: 'Cluster',
        metadata: { name },
      });
    const roles = '/apis/rbac.authorization.k8s.io/v1/clusterroles/view';
    const loud = flood(`/clusters/loud${roles}`, {}, 500);
    await delay(300);
    const times = await polite(`/clusters/quiet${roles}`, {}, 20);
    await loud.stop();
    expect(loud.counts.get(200)).toBeGreaterThan(500);
    expect(median(times)).toBeLessThan(median(loud.times) / 2);
  });

  it('is forgotten when its client goes away', { timeout: 30_000 }, async () => {
    const session = dial();
    const headers = { ':method': 'GET', ':path': MAPS, authorization: `Bearer ${plane.access.token}` };
    for (let i = 0; i < 500; i++)
      session.request({ ...headers, ...as('gone', 'viewers') }).on('error', () => undefined);
    await delay(5);
    session.destroy();
    const other = dial();
    const dump = '/debug/api_priority_and_fairness/dump_priority_levels';
    const idle = async (): Promise<string | undefined> =>
      /global-default,\s+\d+,\s+(\w+),/.exec((await send(other, 'GET', dump)).text)?.[1];
    await expect.poll(idle, { timeout: 5000 }).toBe('true');
  });
});

it('shows levels, queues and requests to those who may see them', async () => {
  const session = dial();
  const base = '/debug/api_priority_and_fairness';
  expect((await send(session, 'GET', `${base}/dump_priority_levels`, as('bob'))).status).toBe(403);
  const { text, headers } = await send(session, 'GET', `${base}/dump_requests?includeRequestDetails=1`);
  expect(headers['content-type']).toBe('text/plain; charset=utf-8');
  const [head = '', row = ''] = text.split('\n');
  expect(head.split(/,\s+/)).toHaveLength(18);
  expect(row.split(/,\s*/).slice(0, 4)).toEqual(['exempt', 'exempt', '-1', '-1']);
  expect(row).toContain(`get,    ${base}/dump_requests`);
  const { text: queues } = await send(session, 'GET', `${base}/dump_queues`);
  expect(queues.split('\n').filter((line) => line.startsWith('leader-election,'))).toHaveLength(16);
  expect((await send(session, 'GET', `${base}/`)).status).toBe(404);
});
