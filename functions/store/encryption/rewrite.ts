import type { Clock } from '../../clock/clock.ts';
import { domainName } from '../domain.ts';
import type { Change, Domain, Store, Stored, Write } from '../store.ts';
import type { Encryption } from './encryption.ts';
import type { EncryptedStore } from './store.ts';
import type { Transformer } from './transformer.ts';

/** How many values lie under each key. */
export type KeyCounts = Record<string, number>;

export interface RewriteOptions {
  /** Where values lie encrypted. */
  inner: Store & { scrub?(): Promise<void> };
  /** The same store, opened. */
  store: EncryptedStore<Store>;
  encryption: () => Encryption;
  clusters(): Promise<string[]>;
  clock: Clock;
  signal?: AbortSignal;
  log(line: string): void;
}

export interface Rewritten {
  /** Values that were sealed anew. */
  values: number;
  /** Values that no key opens; they stay as they are. */
  unreadable: number;
}

const PAGE = 500;
/** Writes at once, and the pause after them: others go first. */
const BATCH = 20;
const PAUSE_MS = 10;

const stateDomain: Domain = { cluster: 'system', group: 'skiff.dev', resource: 'encryption' };
const stateKey = 'state';
const noIndex = { labels: {}, fields: {}, owners: [] };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the last finished rewriting left. */
export interface EncryptionState {
  /** What sealed every value then. */
  writers: string;
  /** Resources that were ever encrypted, as documents name them. */
  resources: string[];
}

export const readState = async (inner: Store): Promise<EncryptionState | undefined> => {
  const stored = await inner.get(stateDomain, stateKey);
  return stored && (JSON.parse(decoder.decode(stored.bytes)) as EncryptionState);
};
export const writeState = async (inner: Store, state: EncryptionState): Promise<void> => {
  for (;;) {
    const known = await inner.get(stateDomain, stateKey);
    const bytes = () => encoder.encode(JSON.stringify(state));
    const write: Write = known
      ? { op: 'update', key: stateKey, expected: known.revision, index: noIndex, bytes }
      : { op: 'create', key: stateKey, index: noIndex, bytes };
    const [outcome] = await inner.commit(stateDomain, [write]);
    if (outcome?.ok) return;
    if (outcome && !('current' in outcome) && outcome.reason !== 'exists')
      throw new Error(`the state of encryption could not be stored: ${outcome.reason}`);
  }
};

/** The same object at another revision: nothing but its resourceVersion differs. */
const withRevision = (bytes: Uint8Array): ((revision: bigint) => Uint8Array) => {
  const object = JSON.parse(decoder.decode(bytes)) as { metadata?: { resourceVersion?: string } };
  if (object.metadata?.resourceVersion === undefined) return () => bytes;
  const { metadata } = object;
  return (revision) => {
    metadata.resourceVersion = `${revision}`;
    return encoder.encode(JSON.stringify(object));
  };
};

/** All clusters that a store may hold keys of. */
export const clustersIn = async (inner: Store): Promise<string[]> => {
  const { items } = await inner.scan({ cluster: 'system', group: 'skiff.dev', resource: 'clusters' }, '', 1_000_000);
  return [...new Set(['system', 'default', ...items.map(({ key }) => key)])];
};

async function* valuesOf(inner: Store, domain: Domain): AsyncGenerator<Stored[]> {
  let after: string | undefined = '';
  while (after !== undefined) {
    const page = await inner.scan(domain, after, PAGE);
    yield page.items;
    after = page.next;
  }
}

async function* encryptedDomains(
  options: Pick<RewriteOptions, 'inner' | 'encryption' | 'clusters'>,
): AsyncGenerator<{ domain: Domain; rule: Transformer }> {
  for (const cluster of await options.clusters()) {
    for (const domain of await options.inner.domains(cluster)) {
      const rule = options.encryption().ruleOf(domain);
      if (rule) yield { domain, rule };
    }
  }
}

/** Counts values by the key that they lie under, in all domains that are or were encrypted. */
export const countKeys = async (
  options: Pick<RewriteOptions, 'inner' | 'encryption' | 'clusters'>,
): Promise<KeyCounts> => {
  const counts: KeyCounts = {};
  for await (const { domain, rule } of encryptedDomains(options)) {
    for await (const items of valuesOf(options.inner, domain)) {
      for (const { bytes } of items) {
        const name = rule.keyOf(bytes);
        counts[name] = (counts[name] ?? 0) + 1;
      }
    }
  }
  return counts;
};

const rewriteDomain = async (options: RewriteOptions, domain: Domain, rule: Transformer): Promise<Rewritten> => {
  const { inner, store, clock, signal } = options;
  const done: Rewritten = { values: 0, unreadable: 0 };
  await rule.ready();
  for await (const items of valuesOf(inner, domain)) {
    const { writer } = rule;
    const stale = items.filter(({ bytes }) => rule.keyOf(bytes) !== writer);
    for (let at = 0; at < stale.length; at += BATCH) {
      signal?.throwIfAborted();
      const some = stale.slice(at, at + BATCH).map((stored): Change => ({ type: 'put', stored }));
      const writes: Write[] = [];
      for (const { stored } of await store.opened(domain, some)) {
        const { key, revision, index } = stored;
        if (stored.sealed) done.unreadable++;
        else writes.push({ op: 'update', key, expected: revision, index, bytes: withRevision(stored.bytes) });
      }
      for (const outcome of await store.commit(domain, writes)) {
        if (outcome.ok) done.values++;
        // Whoever wrote it meanwhile wrote it under the new key.
        else if (!('current' in outcome) && outcome.reason !== 'missing')
          throw new Error(`${domainName(domain)}: ${outcome.reason}`);
      }
      await clock.sleep(PAUSE_MS, signal);
    }
  }
  return done;
};

/**
 * Seals every value anew that does not lie under the key that seals now: plain ones, and those of older keys. Each is
 * written on condition that nobody wrote it meanwhile, with its content as it is and a new resourceVersion (as a storage
 * migration of Kubernetes does). Then what the log still holds of older forms goes, and with `scrub` from the files too.
 * May be cut off and begun again. Rejects with the signal's reason when aborted.
 */
export const rewriteValues = async (options: RewriteOptions): Promise<Rewritten> => {
  const { inner } = options;
  const done: Rewritten = { values: 0, unreadable: 0 };
  for await (const { domain, rule } of encryptedDomains(options)) {
    const { values, unreadable } = await rewriteDomain(options, domain, rule);
    done.values += values;
    done.unreadable += unreadable;
    await inner.compact(domain, 0);
  }
  options.signal?.throwIfAborted();
  await inner.scrub?.();
  return done;
};

export interface Rewriting {
  /**
   * Looks whether what seals has changed, and rewrites if so; several calls at once are one. Resolves into whether all lies
   * as it should; false where it was cut off or failed, which is told: it is to be tried again.
   */
  check(): Promise<boolean>;
  /** Seconds do not matter: resolves when nothing is rewritten any more. */
  close(): Promise<void>;
}

/** Keeps all values under the keys that seal now. */
export const createRewriting = (options: Omit<RewriteOptions, 'signal'> & { resources(): string[] }): Rewriting => {
  const { inner, encryption, log } = options;
  const closing = new AbortController();
  let running: Promise<boolean> | undefined;
  const run = async (): Promise<boolean> => {
    for (;;) {
      await encryption().ready();
      const { writers } = encryption();
      const state = await readState(inner);
      if (closing.signal.aborted) return false;
      if (state?.writers === writers) return true;
      const resources = [...new Set([...(state?.resources ?? []), ...options.resources()])];
      // Said before the first value is sealed: they stay readable whatever is configured later.
      if (state && resources.length > state.resources.length) await writeState(inner, { ...state, resources });
      const { values, unreadable } = await rewriteValues({ ...options, signal: closing.signal });
      if (encryption().writers !== writers) continue;
      await writeState(inner, { writers, resources });
      if (values > 0) log(`encrypted ${values} stored values anew`);
      if (unreadable > 0) log(`${unreadable} stored values cannot be decrypted: no key of the configuration fits`);
    }
  };
  return {
    check: () => {
      running ??= run()
        .catch((error: Error) => {
          if (!closing.signal.aborted) log(`encrypting stored values anew: ${error.message}`);
          return false;
        })
        .finally(() => {
          running = undefined;
        });
      return running;
    },
    close: async () => {
      closing.abort();
      await running;
    },
  };
};
