import { beforeEach, describe, expect, it } from 'vitest';
import { createSystemClock } from '../clock/system.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Domain, Store } from '../store/store.ts';
import { SnapshotRefused } from './format.ts';
import { restoreLines } from './restore.ts';
import { saveLines } from './save.ts';

const clock = createSystemClock();
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const index = { labels: { app: 'x' }, fields: { 'spec.nodeName': 'n' }, owners: ['u'] };
const of = (cluster: string, group: string, resource: string): Domain => ({ cluster, group, resource });

const put = async (store: Store, domain: Domain, name: string, data: unknown): Promise<void> => {
  const bytes = (revision: bigint) =>
    encoder.encode(
      JSON.stringify({
        kind: 'K',
        apiVersion: 'v1',
        metadata: { name, uid: `u-${name}`, resourceVersion: `${revision}` },
        data,
      }),
    );
  const [outcome] = await store.commit(domain, [{ op: 'create', key: `n/${name}`, index, bytes }]);
  if (!outcome?.ok) throw new Error('not stored');
};
const saved = async (store: Store, cluster: string): Promise<string[]> => {
  const lines: string[] = [];
  for await (const line of saveLines({ store, clock, cluster })) lines.push(line.trimEnd());
  return lines;
};
const reading = (lines: readonly string[]) =>
  async function* (): AsyncGenerator<string> {
    yield* lines;
  };

describe('snapshots', () => {
  let store: Store;
  beforeEach(async () => {
    store = createMemoryStore();
    for (let i = 0; i < 250; i++) await put(store, of('a', '', 'pods'), `p${i}`, { i });
    await put(store, of('a', 'apps', 'deployments'), 'd', { 'sign: ä\n': true });
    const raw = () => encoder.encode('{"10.96.0.1":"default/kubernetes"}');
    await store.commit(of('a', 'skiff.dev', 'serviceips'), [{ op: 'create', key: 'x', index, bytes: raw }]);
    await store.commit(of('a', 'skiff.dev', 'keys'), [{ op: 'create', key: 'x', index, bytes: raw }]);
    await put(store, of('b', '', 'pods'), 'other', {});
  });

  it('carry a cluster to another store, with its uids, indexes and new revisions', async () => {
    const target = createMemoryStore();
    const told = await restoreLines(reading(await saved(store, 'a')), { store: target, cluster: 'new' });
    expect(told).toMatchObject({ cluster: 'a', version: 1, domains: 3, objects: 252 });
    expect((await target.domains('new')).length).toBe(3);
    const pods = of('new', '', 'pods');
    const found = await target.get(pods, 'n/p7');
    const object = JSON.parse(decoder.decode(found?.bytes));
    expect(object).toEqual({
      kind: 'K',
      apiVersion: 'v1',
      metadata: { name: 'p7', uid: 'u-p7', resourceVersion: `${found?.revision}` },
      data: { i: 7 },
    });
    expect(found?.index).toEqual(index);
    expect((await target.scan(pods, '', 1000)).items.length).toBe(250);
    const raw = await target.get(of('new', 'skiff.dev', 'serviceips'), 'x');
    expect(decoder.decode(raw?.bytes)).toBe('{"10.96.0.1":"default/kubernetes"}');
  });

  it('are of one moment while writers go on', async () => {
    let going = true;
    const first = of('a', '', 'configmaps');
    const second = of('a', '', 'secrets');
    let n = 0;
    const writing = (async () => {
      while (going) {
        await put(store, first, `c${n}`, {});
        await put(store, second, `s${n}`, {});
        n++;
        if (n % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 5));
    const lines = await saved(store, 'a');
    await new Promise((resolve) => setTimeout(resolve, 5));
    going = false;
    await writing;
    const names = lines.flatMap((line) => /"key":"n\/([cs]\d+)"/.exec(line)?.[1] ?? []);
    const has = new Set(names);
    const last = Math.max(...names.filter((name) => name.startsWith('c')).map((name) => Number(name.slice(1))));
    // A secret is written after the config map of its number: none may be there without it, and at most one missing.
    for (let i = 0; i < last; i++) expect([has.has(`c${i}`), has.has(`s${i}`)]).toEqual([true, true]);
    expect(names.length).toBeLessThan(2 * n);
  });

  it('are refused when damaged, cut short, newer or of something else, and leave nothing', async () => {
    const lines = await saved(store, 'a');
    const target = createMemoryStore();
    const refused = async (changed: readonly string[]): Promise<string> => {
      const error = await restoreLines(reading(changed), { store: target, cluster: 'new' }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(SnapshotRefused);
      expect(await target.domains('new')).toEqual([]);
      return (error as Error).message;
    };
    expect(await refused(lines.slice(0, -1))).toContain('no end');
    expect(await refused(lines.map((line, i) => (i === 5 ? line.replace('p', 'q') : line)))).toContain('checksum');
    expect(await refused(lines.filter((_, i) => i !== 9))).toContain('checksum');
    expect(await refused(['{"header":{"format":"skiff-snapshot","version":2}}'])).toContain('version 2');
    expect(await refused(['{"kind":"List"}'])).toContain('no snapshot');
    expect(await refused([])).toContain('empty');
    expect(await refused([lines[0] ?? '', '{"object":'])).toContain('damaged');
  });

  it('go into a cluster that holds nothing, and only there', async () => {
    const lines = await saved(store, 'a');
    await expect(restoreLines(reading(lines), { store, cluster: 'b' })).rejects.toThrow('holds something already');
    await expect(saved(store, 'nothing')).rejects.toThrow('holds nothing');
  });
});
