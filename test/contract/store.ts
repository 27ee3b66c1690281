import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Change,
  type CommitFeed,
  type Domain,
  firstHead,
  type Indexed,
  type Outcome,
  type Store,
  type Stored,
  type Write,
} from '../../functions/store/store.ts';

/** One place to keep data, opened as often as a test wants. */
export interface StorePlace {
  open(): Promise<Store & Partial<CommitFeed>>;
  /** Removes what the place holds. */
  remove(): Promise<void>;
}

/** Cases that an adapter cannot pass, each with its reason. */
export type Skips = Partial<Record<'durability' | 'feed' | 'dense', string>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
export const noIndex: Indexed = { labels: {}, fields: {}, owners: [] };
export const body = (text: string) => (revision: bigint) => encoder.encode(`${revision}:${text}`);
/** A revision of pods as its place in the domain: 1 is the first head. */
const placeOf = (revision: bigint | undefined): string => (revision === undefined ? '' : `${revision - at(0)}`);
/** The text, with its revision counted from the start of the domain. */
export const textOf = (stored: Stored | undefined): string =>
  decoder.decode(stored?.bytes).replace(/^\d{6,}(?=:)/, (r) => `${BigInt(r) - at(0)}`);
export const create = (key: string, text = key, index = noIndex): Write => ({
  op: 'create',
  key,
  index,
  bytes: body(text),
});
const update = (key: string, expected: bigint, text: string, index = noIndex): Write => ({
  op: 'update',
  key,
  expected,
  index,
  bytes: body(text),
});
const remove = (key: string, expected: bigint): Write => ({ op: 'delete', key, expected });

const pods: Domain = { cluster: 'one', group: '', resource: 'pods' };
const deployments: Domain = { cluster: 'one', group: 'apps', resource: 'deployments' };
const elsewhere: Domain = { cluster: 'one-more', group: '', resource: 'pods' };
/** The n-th revision of pods, where the head of an empty domain is the first. */
const at = (n: number): bigint => firstHead(pods) + BigInt(n - 1);

const stored = (outcome: Outcome | undefined): Stored => {
  if (!outcome?.ok)
    throw new Error(`not ok: ${JSON.stringify(outcome, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`);
  return outcome.stored;
};
const lost = (outcome: Outcome | undefined) => {
  if (!outcome || outcome.ok) throw new Error('unexpectedly ok');
  return { reason: outcome.reason, current: 'current' in outcome ? outcome.current?.revision : undefined };
};
const keysOf = (items: readonly Stored[]) => items.map((item) => item.key);
const told = (changes: readonly Change[] | 'compacted') =>
  changes === 'compacted' ? changes : changes.map((c) => `${c.type} ${c.stored.key} ${textOf(c.stored)}`);

/** What every adapter of the store port promises. */
export const storeContract = (name: string, place: () => StorePlace, skips: Skips = {}): void => {
  describe(`store contract: ${name}`, () => {
    let opened: StorePlace;
    let store: Store & Partial<CommitFeed>;
    beforeEach(async () => {
      opened = place();
      store = await opened.open();
    });
    afterEach(async () => {
      await store.close();
      await opened.remove();
    });
    const commit = async (write: Write, domain = pods) => (await store.commit(domain, [write]))[0];
    const context: Context = { store: () => store, commit, gaps: skips.dense !== undefined };

    writes(context);
    batches(context);
    logs(context);
    clusters(context);

    it.skipIf(skips.feed)('feeds every change to subscribers, in order, before the commit resolves', async () => {
      const seen: string[] = [];
      const stop = store.subscribe?.((domain, changes) => {
        seen.push(
          ...changes.map(
            (c) => `${domain.resource} ${c.type} ${placeOf(c.stored.revision)} ${placeOf(c.previous?.revision)}`,
          ),
        );
      });
      const first = stored(await commit(create('a')));
      expect(seen).toEqual(['pods put 2 ']);
      await Promise.all([commit(update('a', first.revision, 'b')), commit(create('x'), deployments)]);
      await commit(remove('a', at(3)));
      expect(seen.filter((line) => line.startsWith('pods'))).toEqual([
        'pods put 2 ',
        'pods put 3 2',
        'pods delete 4 3',
      ]);
      const own = firstHead(deployments) + 1n;
      expect(own).not.toBe(at(2));
      expect(seen).toContain(`deployments put ${placeOf(own)} `);
      stop?.();
      await commit(create('b'));
      expect(seen.length).toBe(4);
    });

    it.skipIf(skips.durability)('finds everything again after it was closed', async () => {
      const index = { labels: { app: 'ü' }, fields: { 'spec.nodeName': 'n' }, owners: ['u1', 'u2'] };
      await store.commit(pods, [create('a/x', 'x', index), create('a/y'), remove('a/y', at(3)), create('a/z')]);
      await commit(create('d'), deployments);
      await store.close();
      store = await opened.open();
      expect(await store.head(pods)).toBe(at(5));
      expect(await store.get(pods, 'a/x')).toMatchObject({ key: 'a/x', revision: at(2), index });
      expect(textOf(await store.get(pods, 'a/x'))).toBe('2:x');
      expect(await store.get(pods, 'a/y')).toBeUndefined();
      const told0 = told(await store.changes(pods, 0n, 10));
      expect(told0).toEqual(['put a/x 2:x', 'put a/y 3:a/y', 'delete a/y 3:a/y', 'put a/z 5:a/z']);
      expect(stored(await commit(create('a/w'))).revision).toBe(at(6));
      await store.compact(pods, 0);
      await store.close();
      store = await opened.open();
      expect(await store.head(pods)).toBe(at(6));
      expect(await store.changes(pods, at(5), 10)).toBe('compacted');
      expect(keysOf((await store.scan(pods, '', 10)).items)).toEqual(['a/w', 'a/x', 'a/z']);
      await store.drop('one');
      await store.close();
      store = await opened.open();
      expect(await store.domains('one')).toEqual([]);
      expect(await store.get(pods, 'a/x')).toBeUndefined();
      expect(stored(await commit(create('a/x'))).revision).toBeGreaterThan(at(6));
    });
  });
};

interface Context {
  store: () => Store & Partial<CommitFeed>;
  commit(write: Write, domain?: Domain): Promise<Outcome | undefined>;
  /** A revision given to a write that then failed may stay unused. */
  gaps: boolean;
}

const writes = ({ store, commit, gaps }: Context): void => {
  it('starts a new domain at its own head, and its first write gets the next: a list of an empty one is a point to watch from', async () => {
    expect(await store().head(pods)).toBe(at(1));
    expect(await store().changes(pods, at(1), 10)).toEqual([]);
    expect(stored(await commit(create('a'))).revision).toBe(at(2));
    expect(told(await store().changes(pods, at(1), 10))).toEqual(['put a 2:a']);
  });

  it('creates, and refuses to create twice', async () => {
    const made = await commit(create('ns/a', 'first'));
    expect(made).toMatchObject({ ok: true, created: true, stored: { key: 'ns/a', revision: at(2) } });
    expect(textOf(stored(made))).toBe('2:first');
    expect(textOf(await store().get(pods, 'ns/a'))).toBe('2:first');
    expect(lost(await commit(create('ns/a', 'second')))).toEqual({ reason: 'exists', current: at(2) });
    expect(textOf(await store().get(pods, 'ns/a'))).toBe('2:first');
    expect(await store().head(pods)).toBe(at(2));
  });

  it('updates at the expected revision only', async () => {
    await commit(create('a'));
    expect(await commit(update('a', at(2), 'two'))).toMatchObject({
      ok: true,
      created: false,
      stored: { revision: at(3) },
    });
    expect(lost(await commit(update('a', at(2), 'three')))).toEqual({ reason: 'changed', current: at(3) });
    expect(lost(await commit(update('b', at(2), 'three')))).toEqual({ reason: 'missing', current: undefined });
    expect(textOf(await store().get(pods, 'a'))).toBe('3:two');
  });

  it('deletes at the expected revision only, and tells the last state with the revision of the delete', async () => {
    const index = { labels: { a: 'b' }, fields: { f: 'v' }, owners: ['o'] };
    await commit(create('a', 'kept', index));
    expect(lost(await commit(remove('a', at(10))))).toEqual({ reason: 'changed', current: at(2) });
    expect(lost(await commit(remove('b', at(10))))).toEqual({ reason: 'missing', current: undefined });
    const gone = await commit(remove('a', at(2)));
    expect(gone).toMatchObject({ ok: true, created: false, stored: { key: 'a', revision: at(3), index } });
    expect(textOf(stored(gone))).toBe('2:kept');
    expect(await store().get(pods, 'a')).toBeUndefined();
    expect(lost(await commit(remove('a', at(2))))).toEqual({ reason: 'missing', current: undefined });
    await commit(create('a'));
    const rewritten = await commit({ op: 'delete', key: 'a', expected: at(4), bytes: body('last') });
    expect(textOf(stored(rewritten))).toBe('5:last');
  });

  it('gives the revision to the bytes once', async () => {
    const asked: bigint[] = [];
    const bytes = (revision: bigint) => {
      asked.push(revision);
      return encoder.encode('x');
    };
    await commit({ op: 'create', key: 'a', index: noIndex, bytes });
    expect(asked).toEqual([at(2)]);
  });

  it('takes objects of 1.5 MB and refuses larger ones', async () => {
    const large = new Uint8Array(1_572_864).map((_, i) => (i * 7919) % 251);
    const made = await commit({ op: 'create', key: 'large', index: noIndex, bytes: () => large });
    expect(stored(made).bytes.byteLength).toBe(large.byteLength);
    const found = await store().get(pods, 'large');
    expect(Buffer.compare(found?.bytes ?? Buffer.alloc(0), large)).toBe(0);
    const over = await commit({ op: 'create', key: 'over', index: noIndex, bytes: () => new Uint8Array(1_572_865) });
    expect(lost(over).reason).toBe('too-large');
    expect(await store().get(pods, 'over')).toBeUndefined();
    expect(told((await store().changes(pods, 0n, 10)) as Change[]).length).toBe(1);
  });

  it('a write whose bytes cannot be made leaves nothing, and those before it stand', async () => {
    const fails = () => {
      throw new Error('cannot be written');
    };
    const writes: Write[] = [create('a'), { op: 'create', key: 'b', index: noIndex, bytes: fails }, create('c')];
    await expect(store().commit(pods, writes)).rejects.toThrow('cannot be written');
    await commit(create('d'));
    expect(keysOf((await store().scan(pods, '', 10)).items)).toEqual(['a', 'd']);
    expect(await store().head(pods)).toBe(gaps ? at(5) : at(3));
  });
};

const batches = ({ store, commit }: Context): void => {
  it('gives every write of a batch its own outcome, each seeing those before it', async () => {
    await commit(create('old'));
    const outcomes = await store().commit(pods, [
      create('a'),
      create('a', 'again'),
      update('old', at(2), 'new'),
      update('old', at(2), 'newer'),
      remove('a', at(3)),
      create('a', 'back'),
      remove('nothing', at(2)),
    ]);
    expect(outcomes.map((o) => (o.ok ? placeOf(o.stored.revision) : o.reason))).toEqual([
      '3',
      'exists',
      '4',
      'changed',
      '5',
      '6',
      'missing',
    ]);
    expect(lost(outcomes[1]).current).toBe(at(3));
    expect(lost(outcomes[3]).current).toBe(at(4));
    expect(textOf(await store().get(pods, 'a'))).toBe('6:back');
    expect(await store().commit(pods, [])).toEqual([]);
  });

  it('lets exactly one of many writers win', async () => {
    await commit(create('a'));
    const tries = Array.from({ length: 32 }, (_, i) => commit(update('a', at(2), `w${i}`)));
    const outcomes = await Promise.all(tries);
    const winners = outcomes.filter((o) => o?.ok);
    expect(winners.length).toBe(1);
    const winner = stored(winners[0]);
    for (const outcome of outcomes) {
      if (!outcome?.ok) expect(lost(outcome)).toEqual({ reason: 'changed', current: winner.revision });
    }
    const creates = await Promise.all(Array.from({ length: 16 }, (_, i) => commit(create('n', `${i}`))));
    expect(creates.filter((o) => o?.ok).length).toBe(1);
    expect(textOf(await store().get(pods, 'a'))).toBe(textOf(winner));
  });

  it('counts to a hundred with concurrent writers that retry', async () => {
    await commit({ op: 'create', key: 'n', index: noIndex, bytes: () => encoder.encode('0') });
    const add = async () => {
      for (let done = 0; done < 10; ) {
        const now = await store().get(pods, 'n');
        const next = `${Number(textOf(now)) + 1}`;
        const bytes = () => encoder.encode(next);
        const outcome = await commit({ op: 'update', key: 'n', expected: now?.revision ?? 0n, index: noIndex, bytes });
        if (outcome?.ok) done++;
      }
    };
    await Promise.all(Array.from({ length: 10 }, add));
    expect(textOf(await store().get(pods, 'n'))).toBe('100');
  });
};

const logs = ({ store, commit }: Context): void => {
  it('tells changes in revision order, none missing, with what each replaced', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => commit(create(`k${i}`))));
    const changes = await store().changes(pods, 0n, 100);
    if (changes === 'compacted') throw new Error('compacted');
    expect(changes.length).toBe(50);
    const revisions = changes.map((c) => c.stored.revision);
    expect(revisions).toEqual([...revisions].sort((a, b) => (a < b ? -1 : 1)));
    expect(new Set(keysOf(changes.map((c) => c.stored))).size).toBe(50);
    const middle = revisions[24] ?? 0n;
    const rest = await store().changes(pods, middle, 10);
    expect(rest !== 'compacted' && rest.map((c) => c.stored.revision)).toEqual(revisions.slice(25, 35));
    const head = await store().head(pods);
    expect(await store().changes(pods, head, 10)).toEqual([]);
    const index = { labels: { a: '1' }, fields: {}, owners: [] };
    const made = stored(await commit(create('p', 'p', index)));
    await commit(update('p', made.revision, 'q'));
    const [replaced] = (await store().changes(pods, made.revision, 10)) as Change[];
    expect(replaced?.previousIndex).toEqual(index);
    if (replaced?.previous) expect(textOf(replaced.previous)).toBe(textOf(made));
  });

  it('says compacted for what the log no longer reaches, and keeps the objects', async () => {
    for (let i = 0; i < 10; i++) await commit(create(`k${i}`));
    await store().compact(pods, 4);
    expect(await store().changes(pods, 0n, 100)).toBe('compacted');
    expect(await store().changes(pods, at(6), 100)).toBe('compacted');
    const kept = await store().changes(pods, at(7), 100);
    expect(kept !== 'compacted' && keysOf(kept.map((c) => c.stored))).toEqual(['k6', 'k7', 'k8', 'k9']);
    expect((await store().scan(pods, '', 100)).items.length).toBe(10);
    expect(await store().head(pods)).toBe(at(11));
  });

  it('wakes up who waits for a change', async () => {
    const { signal } = new AbortController();
    await commit(create('a'));
    await store().wake(pods, 0n, signal);
    const waits = store().wake(pods, at(2), signal);
    await commit(create('b'));
    await waits;
    expect(await store().head(pods)).toBe(at(3));
  });

  it('stops waiting when aborted', async () => {
    const controller = new AbortController();
    const waits = store().wake(pods, 0n, controller.signal);
    controller.abort();
    await waits;
    await store().wake(pods, 0n, controller.signal);
    expect(await store().head(pods)).toBe(at(1));
  });

  it('scans in byte order of the keys, page by page', async () => {
    const keys = ['b', 'a/b', 'a-b/c', 'a/a', 'a', 'ab', '\u{1f600}', '\uff5e', 'Z', 'é'];
    await store().commit(
      pods,
      keys.map((key) => create(key)),
    );
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const seen: string[] = [];
    for (let after: string | undefined = ''; after !== undefined; ) {
      const page = await store().scan(pods, after, 3);
      expect(page.items.length).toBeLessThanOrEqual(3);
      seen.push(...keysOf(page.items));
      after = page.next;
    }
    expect(seen).toEqual(sorted);
    expect(await store().scan(deployments, '', 3)).toEqual({ items: [] });
  });
};

const clusters = ({ store, commit }: Context): void => {
  it('keeps domains and clusters apart', async () => {
    await commit(create('a', 'mine'));
    await commit(create('b', 'mine'));
    await commit(create('a', 'other'), elsewhere);
    await commit(create('a', 'deployment'), deployments);
    expect(textOf(await store().get(elsewhere, 'a'))).toBe('2:other');
    expect(await store().head(elsewhere)).toBe(firstHead(elsewhere) + 1n);
    const never: Domain = { cluster: 'never', group: '', resource: 'secrets' };
    const heads = await store().heads([elsewhere, pods, never]);
    expect(heads).toEqual([firstHead(elsewhere) + 1n, await store().head(pods), firstHead(never)]);
    expect(await store().head(pods)).toBe(at(3));
    const found = await store().domains('one');
    expect(found.map((d) => `${d.cluster} ${d.group} ${d.resource}`).sort()).toEqual([
      'one  pods',
      'one apps deployments',
    ]);
    expect(await store().domains('on')).toEqual([]);
  });

  it('drops a cluster and nothing else; its domains go on above their old heads', async () => {
    await store().commit(pods, [create('a'), create('b')]);
    await commit(create('d'), deployments);
    await commit(create('a', 'other'), elsewhere);
    await store().drop('one');
    expect(await store().domains('one')).toEqual([]);
    expect(await store().get(pods, 'a')).toBeUndefined();
    expect((await store().scan(pods, '', 10)).items).toEqual([]);
    expect(await store().changes(pods, at(3), 10)).toBe('compacted');
    expect(textOf(await store().get(elsewhere, 'a'))).toBe('2:other');
    expect(stored(await commit(create('a'))).revision).toBeGreaterThan(at(3));
    await store().drop('never-was');
    expect(keysOf((await store().scan(pods, '', 10)).items)).toEqual(['a']);
  });
};
