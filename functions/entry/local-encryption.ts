import type { Clock } from '../clock/clock.ts';
import type { EncryptionConfiguration } from '../store/encryption/configuration.ts';
import { createEncryption, type Encryption, resourcesOf } from '../store/encryption/encryption.ts';
import type { KmsHealth, KmsProviderList } from '../store/encryption/kms-providers.ts';
import {
  clustersIn,
  countKeys,
  createRewriting,
  type EncryptionState,
  type KeyCounts,
  readState,
  writeState,
} from '../store/encryption/rewrite.ts';
import { type EncryptedStore, encryptedStore } from '../store/encryption/store.ts';
import type { KmsProviders } from '../store/encryption/transformer.ts';
import { DirectoryRefused, type SqliteStore } from '../store/sqlite.ts';
import { hasLocalKeys, type LocalKey, newLocalKey, readLocalKeys, writeLocalKeys } from './local-keys.ts';

export interface LocalEncryptionOptions {
  directory: string;
  inner: SqliteStore;
  clock: Clock;
  /** What the operator has configured; looked at again every second. */
  configured(): EncryptionConfiguration | undefined;
  log(line: string): void;
}

/** Encryption at rest of an embedded control plane. */
export interface LocalEncryption {
  store: EncryptedStore<SqliteStore>;
  /** For health checks. */
  kms: KmsHealth;
  /** Rewrites what lies under other keys than those that seal now, and follows the configuration from then on. */
  begin(): void;
  /** A new key encrypts from now on; everything is rewritten in the background. */
  rotate(): Promise<LocalKey>;
  /** Takes a key away that nothing lies under; says why where it cannot go. */
  remove(name: string): Promise<string | undefined>;
  status(): Promise<{ keys: Omit<LocalKey, 'secret'>[]; writers: string; rewritten: boolean; values: KeyCounts }>;
  close(): Promise<void>;
}

const LOOK_MS = 1000;
/** A rewriting that failed (KMS was away, the disk was full) is tried again after this long. */
const RETRY_MS = 60_000;

const keysOf = (directory: string, state: EncryptionState | undefined): LocalKey[] => {
  if (hasLocalKeys(directory)) return readLocalKeys(directory);
  if (state?.writers.includes('aesgcm:local-'))
    throw new DirectoryRefused(`${directory}/encryption-keys.json is missing: without it the secrets cannot be read`);
  const keys = [newLocalKey()];
  writeLocalKeys(directory, keys);
  return keys;
};

/**
 * Puts encryption in front of the store of a data directory: under the operator's configuration where there is one, else
 * secrets under a key of the directory's own, made at the first start. Rejects with DirectoryRefused where that key is gone.
 */
export const createLocalEncryption = async (options: LocalEncryptionOptions): Promise<LocalEncryption> => {
  const { directory, inner, clock, log } = options;
  const state = await readState(inner);
  let keys = keysOf(directory, state);
  let configuration = options.configured();
  const earlier = new Set(state?.resources);
  let providers: KmsProviderList | undefined;
  const make = async (): Promise<Encryption> => {
    let next: KmsProviderList | undefined;
    const kms: KmsProviders = async (settings) => {
      // Loaded where something lies under KMS.
      const { createKmsProviders } = await import('../store/encryption/kms-providers.ts');
      next ??= createKmsProviders(inner, clock);
      return next.make(settings);
    };
    const made = await createEncryption({ configuration, own: { local: keys }, earlier: [...earlier], kms });
    providers = next;
    return made;
  };
  let encryption = await make();
  const store = encryptedStore(inner, () => encryption);
  // Nothing was ever written plain into a new directory.
  if (!state && (await inner.domains('default')).length === 0)
    await writeState(inner, { writers: encryption.writers, resources: resourcesOf(configuration) });
  const rewriting = createRewriting({
    inner,
    store,
    encryption: () => encryption,
    clusters: () => clustersIn(inner),
    clock,
    log,
    resources: () => resourcesOf(configuration),
  });

  let retryAt = Number.POSITIVE_INFINITY;
  const rewrite = async (): Promise<void> => {
    retryAt = Number.POSITIVE_INFINITY;
    if (!(await rewriting.check())) retryAt = clock.now() + RETRY_MS;
  };
  let looking: Promise<void> | undefined;
  let seen = configuration;
  const look = async (): Promise<void> => {
    const found = options.configured();
    seen = found;
    for (const resource of resourcesOf(configuration)) earlier.add(resource);
    const before = configuration;
    configuration = found;
    try {
      encryption = await make();
      void rewrite();
    } catch (error) {
      configuration = before;
      throw error;
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const changeKeys = async (next: LocalKey[]): Promise<void> => {
    writeLocalKeys(directory, next);
    keys = next;
    encryption = await make();
  };

  return {
    store,
    kms: { used: () => providers !== undefined, healthy: async () => (await providers?.healthy()) !== false },
    begin: () => {
      void rewrite();
      timer = setInterval(() => {
        if (clock.now() >= retryAt) void rewrite();
        if (options.configured() === seen) return;
        looking ??= look()
          .catch((error: Error) => log(`encryption stays as it was: ${error.message}`))
          .finally(() => {
            looking = undefined;
          });
      }, LOOK_MS);
      timer.unref();
    },
    rotate: async () => {
      const key = newLocalKey(clock.now());
      await changeKeys([key, ...keys]);
      void rewrite();
      return key;
    },
    remove: async (name) => {
      if (!keys.some((key) => key.name === name)) return `there is no key ${name}`;
      if (keys[0]?.name === name) return `${name} is the newest key: rotate first`;
      const counts = await countKeys({ inner, encryption: () => encryption, clusters: () => clustersIn(inner) });
      const under = counts[`aesgcm:${name}`] ?? 0;
      if (under > 0) return `${under} values lie under ${name}`;
      if ((await readState(inner))?.writers !== encryption.writers)
        return 'values are being encrypted anew: wait for it';
      await changeKeys(keys.filter((key) => key.name !== name));
      return undefined;
    },
    status: async () => ({
      keys: keys.map(({ name, createdAt }) => ({ name, createdAt })),
      writers: encryption.writers,
      rewritten: (await readState(inner))?.writers === encryption.writers,
      values: await countKeys({ inner, encryption: () => encryption, clusters: () => clustersIn(inner) }),
    }),
    close: async () => {
      clearInterval(timer);
      await looking;
      await rewriting.close();
    },
  };
};
