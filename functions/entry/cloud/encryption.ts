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
import { type EncryptedStore, encryptedStore } from '../../store/encryption/store.ts';
import type { Store } from '../../store/store.ts';

export interface CloudEncryptionOptions {
  inner: Store;
  clock: Clock;
  /** ARN, alias or id of the KMS key of the deployment; '' where it has none, and what it stores lies plain. */
  kmsKey: string;
  /** What the operator has configured, where that differs from encrypting secrets under the deployment's key. */
  configuration?: EncryptionConfiguration | undefined;
  /** KMS itself, in tests something that stands for it. */
  kms?: Kms;
}

export interface CloudEncryption {
  store: EncryptedStore<Store>;
  encryption: Encryption;
  providers: KmsProviderList;
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

/** Puts encryption in front of a deployment's table. Asks KMS nothing before the first secret is read or written. */
export const openCloudEncryption = async (options: CloudEncryptionOptions): Promise<CloudEncryption> => {
  const { inner, clock, kmsKey, configuration } = options;
  const providers = createKmsProviders(inner, clock, options.kms);
  const own = kmsKey ? { own: { kms: ownKms(kmsKey) } } : {};
  const encryption = await createEncryption({ configuration, ...own, kms: providers.make });
  return { store: encryptedStore(inner, () => encryption), encryption, kms: kmsHealth(() => providers), providers };
};
