import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock/clock.ts';
import type { Store } from '../store.ts';
import { gcmCipher } from './cipher.ts';
import type { KmsSettings } from './configuration.ts';
import { chooseDataKey, currentDataKey, type DataKey, readDataKey } from './data-keys.ts';
import { type KeyedCipher, type Provider, startsWith } from './transformer.ts';

/** What a key management service does for us; rejects where it cannot. */
export interface Kms {
  /** A new random key of 32 bytes, and the same as only `unwrap` can read it. `context` has to be given again. */
  generate(kmsKey: string, context: Record<string, string>): Promise<{ plain: Uint8Array; wrapped: Uint8Array }>;
  unwrap(kmsKey: string, wrapped: Uint8Array, context: Record<string, string>): Promise<Uint8Array>;
}

export interface KmsProviderOptions {
  settings: KmsSettings;
  kms: Kms;
  /** Where data keys are kept. */
  inner: Store;
  clock: Clock;
}

/** The provider of one KMS key. */
export interface KmsProvider extends Provider {
  /** Makes a new data key that encrypts from now on in this process; in others within `currentMs`. */
  rotate(): Promise<DataKey>;
  /** Whether KMS can unwrap the data key that encrypts; asked again no sooner than upstream does. */
  healthy(): Promise<boolean>;
}

/** A process asks again which data key encrypts after so many milliseconds. */
export const currentMs = 60_000;
/** Data keys in memory; what was used longest ago goes first. */
const OPENED_MAX = 100;
/** After a failure KMS is left in peace for so long, in milliseconds. */
const FAILED_MS = 1000;
/** How long an answer about health counts, in milliseconds: upstream's times. */
const HEALTHY_MS = 20_000;
const UNHEALTHY_MS = 3_000;

/** The name of an error alone: messages of KMS name accounts and roles. */
const failed = (name: string, error: unknown): Error => {
  const reason = error instanceof Error ? error.name : String(error);
  return new Error(`kms provider "${name}": the data key cannot be had: ${reason}`);
};

/** Data keys that this process has unwrapped, and those that are being unwrapped. */
const createOpened = ({ settings, kms, inner, clock }: KmsProviderOptions, prefix: string) => {
  const opened = new Map<string, KeyedCipher>();
  const opening = new Map<string, Promise<void>>();
  const missing = new Set<string>();
  let failure: { at: number; error: Error } | undefined;
  const context = { 'skiff.dev/provider': settings.name };
  const keep = (id: string, plain: Uint8Array): void => {
    opened.set(id, {
      prefix: Buffer.from(`${prefix}${id}:`),
      name: `kms:${settings.name}:${id}`,
      cipher: gcmCipher(plain),
    });
    for (const oldest of opened.keys()) {
      if (opened.size <= OPENED_MAX) break;
      opened.delete(oldest);
    }
  };
  /** Asks KMS, unless it has just failed. */
  const asked = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (failure && clock.now() - failure.at < FAILED_MS) throw failure.error;
    try {
      const answer = await ask();
      failure = undefined;
      return answer;
    } catch (error) {
      failure = { at: clock.now(), error: failed(settings.name, error) };
      throw failure.error;
    }
  };
  const unwrap = (key: DataKey): Promise<Uint8Array> =>
    asked(() => kms.unwrap(key.kmsKey, Buffer.from(key.wrapped, 'base64'), context));
  return {
    get: (id: string): KeyedCipher | undefined => {
      const known = opened.get(id);
      if (!known) return undefined;
      opened.delete(id);
      opened.set(id, known);
      return known;
    },
    keep,
    unwrap,
    generate: (kmsKey: string) => asked(() => kms.generate(kmsKey, context)),
    isMissing: (id: string): boolean => missing.has(id),
    open: (id: string): Promise<void> => {
      const known = opening.get(id);
      if (known) return known;
      const open = async (): Promise<void> => {
        const key = await readDataKey(inner, id);
        if (key) keep(id, await unwrap(key));
        // Nothing will bring it back but a restore, which starts processes anew.
        else if (missing.size < OPENED_MAX) missing.add(id);
      };
      const made = open().finally(() => opening.delete(id));
      opening.set(id, made);
      return made;
    },
  };
};

/**
 * Values under data keys that a KMS key wraps (upstream's KMS v2: a seed, from which each value's key is derived). All
 * processes share one data key, kept wrapped in the store: a process asks KMS once, for as long as it lives, and once more
 * for each rotation; values of older data keys cost one call each. While KMS is away, what is unwrapped goes on working.
 */
export const createKmsProvider = (options: KmsProviderOptions): KmsProvider => {
  const { settings, inner, clock } = options;
  const { name } = settings;
  const kmsKey = settings.endpoint.slice('awskms:///'.length);
  const prefix = `k8s:enc:kms:v2:${name}:`;
  const prefixBytes = Buffer.from(prefix);
  const opened = createOpened(options, prefix);
  let current: { id: string; readAt: number } | undefined;
  let choosing: Promise<void> | undefined;

  const make = async (replaces: bigint | undefined): Promise<DataKey | undefined> => {
    const { plain, wrapped } = await opened.generate(kmsKey);
    const key: DataKey = {
      id: randomBytes(8).toString('hex'),
      provider: name,
      kmsKey,
      wrapped: Buffer.from(wrapped).toString('base64'),
      createdAt: new Date(clock.now()).toISOString(),
    };
    if (!(await chooseDataKey(inner, key, replaces))) return undefined;
    opened.keep(key.id, plain);
    current = { id: key.id, readAt: clock.now() };
    return key;
  };
  const choose = async (): Promise<void> => {
    for (;;) {
      const found = await currentDataKey(inner, name);
      if (found?.key?.kmsKey === kmsKey) {
        if (!opened.get(found.key.id)) opened.keep(found.key.id, await opened.unwrap(found.key));
        current = { id: found.key.id, readAt: clock.now() };
        return;
      }
      if (await make(found?.revision)) return;
    }
  };
  const idOf = (value: Uint8Array): string => {
    if (!startsWith(value, prefixBytes)) return '';
    const rest = Buffer.from(value.subarray(prefixBytes.length, prefixBytes.length + 64)).toString('latin1');
    return rest.slice(0, Math.max(0, rest.indexOf(':')));
  };
  let health: { at: number; good: boolean } | undefined;

  return {
    prefix: prefixBytes,
    noKey: 'no matching data key was found for the provided KMS transformer',
    first: () => (current ? opened.get(current.id) : undefined),
    find: (value) => opened.get(idOf(value)),
    nameOf: (value) => (idOf(value) ? `kms:${name}:${idOf(value)}` : undefined),
    ready: () => {
      if (current && clock.now() - current.readAt < currentMs && opened.get(current.id)) return undefined;
      choosing ??= choose()
        .catch((error) => {
          // The data key that is at hand does as well as a newer one.
          if (!current || !opened.get(current.id)) throw error;
        })
        .finally(() => {
          choosing = undefined;
        });
      return choosing;
    },
    prepare: (value) => {
      const id = idOf(value);
      return id === '' || opened.get(id) || opened.isMissing(id) ? undefined : opened.open(id);
    },
    rotate: async () => {
      for (;;) {
        const found = await currentDataKey(inner, name);
        const key = await make(found?.revision);
        if (key) return key;
      }
    },
    healthy: async () => {
      const age = health ? clock.now() - health.at : Number.POSITIVE_INFINITY;
      if (health && age < (health.good ? HEALTHY_MS : UNHEALTHY_MS)) return health.good;
      const good = await currentDataKey(inner, name)
        .then(async (found) => {
          if (found?.key) await opened.unwrap(found.key);
          else await choose();
          return true;
        })
        .catch(() => false);
      health = { at: clock.now(), good };
      return good;
    },
  };
};
