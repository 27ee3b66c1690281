import type { GroupResource, KubeObject } from '../object.ts';

/**
 * Where a server notes what it charges while the object it charges for is not stored yet: one record per write, in the
 * namespace of its quotas, gone once the write has held or was refunded. A count of the stored objects misses what such
 * a write will add, so nobody replaces a quota's `status.used` by a count while a note names the quota.
 */
export const quotaCharges: GroupResource = Object.freeze({ group: 'skiff.dev', resource: 'quotacharges' });

/** A note of a charge. It is void after `chargeMsMax`: its process has died, and the next count puts things right. */
export interface QuotaCharge extends KubeObject {
  /** Names of the quotas that were charged. */
  quotas: string[];
  /** When, in milliseconds since the epoch. */
  at: number;
}

/** Longer than any write takes from its charge to its commit. */
export const chargeMsMax = 60_000;
