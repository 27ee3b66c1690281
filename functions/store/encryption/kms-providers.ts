import type { Clock } from '../../clock/clock.ts';
import type { Store } from '../store.ts';
import { createAwsKms } from './aws-kms.ts';
import { createKmsProvider, type Kms, type KmsProvider } from './kms.ts';
import { durationMs } from './names.ts';
import type { KmsProviders } from './transformer.ts';

/** The KMS providers of one configuration. */
export interface KmsProviderList {
  make: KmsProviders;
  readonly all: readonly KmsProvider[];
  /** Whether KMS answers all of them. */
  healthy(): Promise<boolean>;
}

/** Providers over AWS KMS, or over what stands for it. */
export const createKmsProviders = (inner: Store, clock: Clock, standIn?: Kms): KmsProviderList => {
  const all: KmsProvider[] = [];
  return {
    all,
    make: (settings) => {
      const kms = standIn ?? createAwsKms(durationMs(settings.timeout ?? '3s'));
      const provider = createKmsProvider({ settings, kms, inner, clock });
      all.push(provider);
      return provider;
    },
    healthy: async () => {
      const answers = await Promise.all(all.map((provider) => provider.healthy()));
      return answers.every(Boolean);
    },
  };
};

/** What a health check asks. */
export interface KmsHealth {
  /** Whether anything lies under a KMS. */
  used(): boolean;
  healthy(): Promise<boolean>;
}
export const kmsHealth = (current: () => KmsProviderList): KmsHealth => ({
  used: () => current().all.length > 0,
  healthy: () => current().healthy(),
});
