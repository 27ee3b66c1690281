import type { ResourceClaimSpec } from '../kinds.d.ts';
import type { KubeObject } from '../object.ts';
import type { Amounts } from './amounts.ts';
import type { QuotaEvaluator } from './evaluator.ts';

const byClass = '.deviceclass.resource.k8s.io/devices';
/** Devices that one claim may be given at most: what `All` counts for. */
const devicesMax = 32;

interface Wanted {
  deviceClassName?: string;
  allocationMode?: string;
  count?: number;
}
const devicesOf = ({ allocationMode, count }: Wanted): number => {
  if (allocationMode === 'All') return devicesMax;
  return allocationMode === 'ExactCount' ? (count ?? 0) : 0;
};

const claimUsage = (claim: KubeObject & { spec?: ResourceClaimSpec }): Amounts => {
  const devices = new Map<string, number>();
  for (const { exactly, firstAvailable } of claim.spec?.devices?.requests ?? []) {
    // Of alternatives the worst counts, class by class.
    const most = new Map<string, number>();
    for (const wanted of (firstAvailable?.length ? firstAvailable : exactly ? [exactly] : []) as Wanted[]) {
      const name = wanted.deviceClassName ?? '';
      most.set(name, Math.max(most.get(name) ?? 0, devicesOf(wanted)));
    }
    for (const [name, count] of most) devices.set(name, (devices.get(name) ?? 0) + count);
  }
  const usage: Amounts = { 'count/resourceclaims.resource.k8s.io': '1' };
  for (const [name, count] of devices) usage[`${name}${byClass}`] = String(count);
  return usage;
};

/** How ResourceClaims count against quotas, KEP-4381: by device class. */
export const resourceClaimQuota: QuotaEvaluator = {
  measures: (limit) => limit === 'count/resourceclaims.resource.k8s.io' || limit.endsWith(byClass),
  usage: (object) => claimUsage(object),
  handles: ({ subresource }) => subresource === '',
};
