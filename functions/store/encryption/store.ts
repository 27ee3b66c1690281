import type { KubeObject } from '../../machinery/object.ts';
import { internalError } from '../../machinery/status.ts';
import { keepWritten } from '../decoded.ts';
import { domainName } from '../domain.ts';
import type { Change, CommitFeed, Domain, Outcome, Store, Stored, Write } from '../store.ts';
import type { Encryption } from './encryption.ts';
import type { Transformer } from './transformer.ts';

/** A store whose values lie encrypted in another one. */
export type EncryptedStore<S extends Store> = S & {
  /** Changes as they lie in the store (a stream's records), opened. */
  opened(domain: Domain, changes: Change[]): Promise<Change[]>;
};

/** Bytes that a sealed value may be longer than its plain form, at most: names of keys are in it. */
const OVERHEAD = 1024;

const contextOf = (domain: Domain, key: string): string => `${domainName(domain)}/${key}`;

/** What a state's place and the reason say, as upstream answers a list with an object that it cannot read. */
const unreadable = (error: unknown) => internalError(error instanceof Error ? error.message : String(error));

/**
 * Puts encryption in front of a store: the values of the domains that `current` has rules for lie sealed in it, and plain
 * objects come out. All other domains go straight through. A value that cannot be opened comes as a state whose `bytes`
 * throw a StatusError (500), and takes no other object with it; it is tried again at each look, so that it comes back with
 * its key. A key that is out of reach for the moment (KMS) fails the call instead.
 *
 * Each state is opened once for as long as somebody holds it: readers share one `Stored`, and its decoded object.
 */
export const encryptedStore = <S extends Store & Partial<CommitFeed>>(
  inner: S,
  current: () => Encryption,
): EncryptedStore<S> => {
  /** Plain states, by what lies in the store. */
  const views = new WeakMap<Stored, WeakRef<Stored>>();
  /** What this process sealed, by the sealed bytes. */
  const written = new WeakMap<Uint8Array, { plain: Uint8Array; object?: KubeObject }>();

  const open = (domain: Domain, { key, bytes }: Stored): Uint8Array => {
    const rule = current().ruleOf(domain);
    return rule ? rule.open(contextOf(domain, key), bytes) : bytes;
  };
  /** A state that could not be opened: `bytes` tries again. */
  const closed = (domain: Domain, stored: Stored): Stored => ({
    key: stored.key,
    revision: stored.revision,
    index: stored.index,
    sealed: true,
    get bytes() {
      try {
        return open(domain, stored);
      } catch (error) {
        throw unreadable(error);
      }
    },
  });
  const make = (domain: Domain, rule: Transformer, stored: Stored): Stored => {
    const { key, revision, index } = stored;
    const own = written.get(stored.bytes);
    if (own) {
      const view: Stored = { key, revision, bytes: own.plain, index };
      if (own.object) keepWritten(view, own.object);
      return view;
    }
    try {
      const bytes = rule.open(contextOf(domain, key), stored.bytes);
      return bytes === stored.bytes ? stored : { key, revision, bytes, index };
    } catch {
      return closed(domain, stored);
    }
  };
  const view = (domain: Domain, rule: Transformer, stored: Stored): Stored => {
    const known = views.get(stored)?.deref();
    if (known) return known;
    const made = make(domain, rule, stored);
    views.set(stored, new WeakRef(made));
    return made;
  };
  const changeView = (domain: Domain, rule: Transformer, change: Change): Change => ({
    ...change,
    stored: view(domain, rule, change.stored),
    ...(change.previous ? { previous: view(domain, rule, change.previous) } : {}),
  });

  /** Fetches keys that are not at hand; a failure of KMS fails the call. */
  const prepare = (rule: Transformer, states: readonly (Stored | undefined)[]): Promise<unknown> | undefined => {
    let waits: Promise<void>[] | undefined;
    for (const stored of states) {
      const wait = stored && rule.prepare(stored.bytes);
      if (wait) waits = [...(waits ?? []), wait];
    }
    return waits && Promise.all(waits).catch((error) => Promise.reject(unreadable(error)));
  };

  const sealedWrite = (domain: Domain, rule: Transformer, write: Write): Write => {
    const { key, bytes } = write;
    // What is kept is what was there: it was taken once.
    if (!bytes) return { ...write, overhead: OVERHEAD };
    const object = write.op === 'delete' ? undefined : write.object;
    const made: Write = {
      ...write,
      overhead: 0,
      bytes: (revision) => {
        const plain = bytes(revision);
        const sealed = rule.seal(contextOf(domain, key), plain);
        if (sealed === plain) return plain;
        made.overhead = sealed.byteLength - plain.byteLength;
        written.set(sealed, { plain, ...(object && { object }) });
        return sealed;
      },
    };
    // The decoded object belongs to the plain state.
    if ('object' in made) delete made.object;
    return made;
  };
  const outcomeView = (domain: Domain, rule: Transformer, outcome: Outcome): Outcome => {
    if (outcome.ok) return { ...outcome, stored: view(domain, rule, outcome.stored) };
    if (!('current' in outcome) || !outcome.current) return outcome;
    return { ...outcome, current: view(domain, rule, outcome.current) };
  };
  const commit = async (domain: Domain, rule: Transformer, writes: Write[]): Promise<Outcome[]> => {
    const waits = rule.ready();
    if (waits) await waits.catch((error) => Promise.reject(unreadable(error)));
    const outcomes = await inner.commit(
      domain,
      writes.map((write) => sealedWrite(domain, rule, write)),
    );
    const lost = outcomes.flatMap((outcome) => ('current' in outcome && outcome.current ? [outcome.current] : []));
    if (lost.length > 0) await prepare(rule, lost);
    return outcomes.map((outcome) => outcomeView(domain, rule, outcome));
  };
  const opened = async (domain: Domain, changes: Change[]): Promise<Change[]> => {
    const rule = current().ruleOf(domain);
    if (!rule || changes.length === 0) return changes;
    await prepare(
      rule,
      changes.flatMap(({ stored, previous }) => [stored, previous]),
    );
    return changes.map((change) => changeView(domain, rule, change));
  };

  const outer: Pick<Store, 'get' | 'scan' | 'commit' | 'changes'> = {
    get: (domain, key) => {
      const rule = current().ruleOf(domain);
      if (!rule) return inner.get(domain, key);
      return inner.get(domain, key).then(async (stored) => {
        if (!stored) return undefined;
        await prepare(rule, [stored]);
        return view(domain, rule, stored);
      });
    },
    scan: (domain, after, limit) => {
      const rule = current().ruleOf(domain);
      if (!rule) return inner.scan(domain, after, limit);
      return inner.scan(domain, after, limit).then(async (page) => {
        await prepare(rule, page.items);
        return { ...page, items: page.items.map((stored) => view(domain, rule, stored)) };
      });
    },
    commit: (domain, writes) => {
      const rule = current().ruleOf(domain);
      return rule ? commit(domain, rule, writes) : inner.commit(domain, writes);
    },
    changes: (domain, after, limit) => {
      if (!current().ruleOf(domain)) return inner.changes(domain, after, limit);
      return inner.changes(domain, after, limit).then(async (found) => {
        return found === 'compacted' ? found : opened(domain, found);
      });
    },
  };
  const { subscribe } = inner;
  const feed: Partial<CommitFeed> = subscribe
    ? {
        subscribe: (changed, dropped) =>
          subscribe((domain, changes) => {
            const rule = current().ruleOf(domain);
            changed(domain, rule ? changes.map((change) => changeView(domain, rule, change)) : changes);
          }, dropped),
      }
    : {};
  return { ...inner, ...outer, ...feed, opened };
};
