import type { PersistentVolumeClaim } from '../kinds.d.ts';
import { compareQuantity } from '../quantity.ts';
import { type Amounts, wholeUnits } from './amounts.ts';
import { matchesName, type QuotaEvaluator, type QuotaScope } from './evaluator.ts';

const byClass = '.storageclass.storage.k8s.io/';
const measured = ['persistentvolumeclaims', 'requests.storage'];

const measures = (limit: string): boolean =>
  limit === 'count/persistentvolumeclaims' ||
  measured.includes(limit) ||
  measured.some((name) => limit.endsWith(`${byClass}${name}`));

/** What was given to a volume that grew counts until it is known to be less: KEP-1790. */
const storageOf = ({ spec, status }: PersistentVolumeClaim): string | undefined => {
  const wanted = spec?.resources?.requests?.storage;
  if (wanted === undefined) return undefined;
  const given = status?.allocatedResources?.storage;
  const asked = wholeUnits(String(wanted));
  return given !== undefined && compareQuantity(String(given), asked) > 0 ? wholeUnits(String(given)) : asked;
};

const classOf = ({ metadata, spec }: PersistentVolumeClaim): string =>
  metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec?.storageClassName ?? '';

const claimUsage = (claim: PersistentVolumeClaim): Amounts => {
  const usage: Amounts = { 'count/persistentvolumeclaims': '1', persistentvolumeclaims: '1' };
  const storage = storageOf(claim);
  if (storage !== undefined) usage['requests.storage'] = storage;
  const name = classOf(claim);
  if (!name) return usage;
  usage[`${name}${byClass}persistentvolumeclaims`] = '1';
  if (storage !== undefined) usage[`${name}${byClass}requests.storage`] = storage;
  return usage;
};

/** Attributes classes that the claim wants, has, or is on its way to. KEP-3751. */
const attributesClasses = ({ spec, status }: PersistentVolumeClaim): string[] => {
  const names = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))].sort() as string[];
};

const inScope = (scope: QuotaScope, claim: PersistentVolumeClaim): boolean => {
  if (scope.scopeName !== 'VolumeAttributesClass') return false;
  const names = attributesClasses(claim);
  return names.length === 0 ? matchesName(scope, '') : names.some((name) => matchesName(scope, name));
};

const replenishes = (next: PersistentVolumeClaim, old: PersistentVolumeClaim): boolean =>
  next.status?.allocatedResources?.storage !== old.status?.allocatedResources?.storage ||
  next.spec?.resources?.requests?.storage !== old.spec?.resources?.requests?.storage ||
  attributesClasses(next).join() !== attributesClasses(old).join();

/** How PersistentVolumeClaims count against quotas. */
export const claimQuota: QuotaEvaluator = {
  measures,
  usage: (object) => claimUsage(object as PersistentVolumeClaim),
  handles: ({ subresource, object, old }) => {
    if (subresource === '') return true;
    if (subresource !== 'status' || !old) return false;
    return replenishes(object as PersistentVolumeClaim, old as PersistentVolumeClaim);
  },
  inScope: (scope, object) => inScope(scope, object as PersistentVolumeClaim),
  replenishes: (next, old) => replenishes(next as PersistentVolumeClaim, old as PersistentVolumeClaim),
};
