import type { Clock } from '../../clock/clock.ts';
import type { Kms } from '../../store/encryption/kms.ts';
import type { KmsHealth } from '../../store/encryption/kms-providers.ts';
import type { EncryptedStore } from '../../store/encryption/store.ts';
import type { Store } from '../../store/store.ts';
import { followStoredConfiguration, type StoredConfiguration } from './configuration.ts';
import { openCloudEncryption } from './encryption.ts';

export interface TableOptions {
  inner: Store;
  clock: Clock;
  /** ARN, alias or id of the KMS key of the deployment; '' where it has none. */
  kmsKey: string;
  log(line: string): void;
  /** KMS itself, in tests something that stands for it. */
  kms?: Kms;
}

/** A deployment's table as a process of it sees it: with what the operator has configured, and what is encrypted opened. */
export interface Table extends Pick<StoredConfiguration, 'configured'> {
  store: EncryptedStore<Store>;
  kms: KmsHealth;
  /**
   * Undefined where what is configured was read lately; else resolves once it has been read again and is in force, or could
   * not be read. A function may be frozen for hours: what was configured before then must not let anybody in after.
   */
  fresh(): Promise<void> | undefined;
}

/** Opens a table. Rejects where it cannot be read or what is configured in it does not stand. */
export const openTable = async ({ inner, clock, kmsKey, log, kms }: TableOptions): Promise<Table> => {
  const { current, configured, fresh } = await followStoredConfiguration({ store: inner, clock, log });
  const encryption = await openCloudEncryption({
    inner,
    clock,
    kmsKey,
    configured: () => current().encryption,
    log,
    ...(kms && { kms }),
  });
  return {
    store: encryption.store,
    kms: encryption.kms,
    configured,
    fresh: () => fresh()?.then(encryption.settled),
  };
};
