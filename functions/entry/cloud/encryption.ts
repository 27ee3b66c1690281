import type { Clock } from '../../clock/clock.ts';
import type { EncryptionConfiguration, KmsSettings } from '../../store/encryption/configuration.ts';
import { createEncryption, type Encryption } from '../../store/encryption/encryption.ts';
import type { Kms } from '../../store/encryption/kms.ts';
import {
  createKmsProviders,
  type KmsHealth,
  type KmsProviderList,
  kmsHealth,
} from '../../store/encryption/kms-providers.ts';
import { readState } from '../../store/encryption/rewrite.ts';
import { type EncryptedStore, encryptedStore } from '../../store/encryption/store.ts';
import type { Store } from '../../store/store.ts';

export interface CloudEncryptionOptions {
  inner: Store;
  clock: Clock;
  /** ARN, alias or id of the KMS key of the deployment; '' where it has none, and what it stores lies plain. */
  kmsKey: string;
  /** What the operator has configured, where that differs from encrypting secrets under the deployment's key. */
  configured?(): EncryptionConfiguration | undefined;
  log?(line: string): void;
  /** KMS itself, in tests something that stands for it. */
  kms?: Kms;
}

export interface CloudEncryption {
  store: EncryptedStore<Store>;
  readonly encryption: Encryption;
  readonly providers: KmsProviderList;
  /** Resolves once what is configured now is in use, or is known not to be usable. */
  settled(): Promise<void>;
  /** For health checks. */
  kms: KmsHealth;
}

const MADE_HERE = 'skiff';
export const ownKms = (kmsKey: string): KmsSettings => ({
  apiVersion: 'v2',
  name: MADE_HERE,
  endpoint: `awskms:///${kmsKey}`,
  timeout: '3s',
});

/**
 * Puts encryption in front of a deployment's table, and follows what is configured. Asks KMS nothing before the first secret
 * is read or written.
 */
export const openCloudEncryption = async (options: CloudEncryptionOptions): Promise<CloudEncryption> => {
  const { inner, clock, kmsKey, configured = () => undefined } = options;
  const earlier = (await readState(inner))?.resources ?? [];
  const make = async (configuration: EncryptionConfiguration | undefined) => {
    const providers = createKmsProviders(inner, clock, options.kms);
    const own = kmsKey ? { own: { kms: ownKms(kmsKey) } } : {};
    return { providers, encryption: await createEncryption({ configuration, ...own, earlier, kms: providers.make }) };
  };
  let seen = configured();
  let made = await make(seen);
  let making: Promise<void> = Promise.resolve();
  const current = (): Encryption => {
    const found = configured();
    if (found !== seen) {
      seen = found;
      // What was read holds until the other is made; one that cannot be made changes nothing.
      making = make(found).then(
        (next) => {
          if (seen === found) made = next;
        },
        (error: Error) => options.log?.(`encryption stays as it was: ${error.message}`),
      );
    }
    return made.encryption;
  };
  return {
    store: encryptedStore(inner, current),
    get encryption() {
      return made.encryption;
    },
    kms: kmsHealth(() => made.providers),
    settled: () => {
      current();
      return making;
    },
    get providers() {
      return made.providers;
    },
  };
};
