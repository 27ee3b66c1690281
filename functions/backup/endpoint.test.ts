import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import { snapshotEndpoint } from './endpoint.ts';

const clock = createSystemClock();
const start = async () => {
  const store = createMemoryStore();
  const bytes = () => new TextEncoder().encode('{"kind":"K","apiVersion":"v1","metadata":{"name":"x"}}');
  const index = { labels: {}, fields: {}, owners: [] };
  await store.commit({ cluster: 'a', group: '', resource: 'pods' }, [{ op: 'create', key: 'n/x', index, bytes }]);
  const released: [string, boolean][] = [];
  const ask = snapshotEndpoint({
    store,
    clock,
    adminToken: 'secret',
    restoring: (cluster) => async (whole) => void released.push([cluster, whole]),
    log: () => undefined,
  });
  const send = async (method: string, cluster: string, body?: Uint8Array<ArrayBuffer>, token = 'secret') => {
    const headers = { authorization: `Bearer ${token}` };
    const url = `https://x/skiff.dev/snapshots/${cluster}`;
    return ask(new Request(url, { method, headers, ...(body && { body }) }));
  };
  return { store, released, send };
};

it('saves a cluster and restores it as another, which is whole then', async () => {
  const { store, released, send } = await start();
  const saved = await send('GET', 'a');
  const answer = await send('PUT', 'b', new Uint8Array(await (saved as Response).arrayBuffer()));
  expect(answer?.status).toBe(200);
  expect(await store.get({ cluster: 'b', group: '', resource: 'pods' }, 'n/x')).toBeDefined();
  expect(released).toEqual([['b', true]]);
});

it('makes no cluster of a snapshot that it refuses', async () => {
  const { store, released, send } = await start();
  expect((await send('PUT', 'b', new Uint8Array(gzipSync('{"kind":"List"}\n'))))?.status).toBe(422);
  expect((await send('PUT', 'b'))?.status).toBe(400);
  expect(await store.domains('b')).toEqual([]);
  expect(released).toEqual([
    ['b', false],
    ['b', false],
  ]);
});

it('is for the operator alone', async () => {
  const { released, send } = await start();
  for (const token of ['secre', 'Secret', 'secret2', ''])
    expect((await send('GET', 'a', undefined, token))?.status).toBe(401);
  expect((await send('PUT', 'b', new Uint8Array(1), 'other'))?.status).toBe(401);
  expect(released).toEqual([]);
});
