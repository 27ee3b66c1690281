import type { CertificateSigningRequest } from '../../machinery/kinds.d.ts';
import type { Controller } from '../controller.ts';
import { expectsOf, ownKey, targetOf } from '../owners.ts';
import { certificateSigningRequests } from '../resources.ts';

const HOUR_MS = 3_600_000;
const SETTLED_MS = HOUR_MS;
const PENDING_MS = 24 * HOUR_MS;

/** When a request has outlived its use: an hour after it was settled, a day where nobody issued or decided anything. */
export const cleanAt = ({ metadata, status }: CertificateSigningRequest): number => {
  const conditions = status?.conditions ?? [];
  const made = Date.parse(metadata.creationTimestamp ?? '');
  if (conditions.length === 0) return made + PENDING_MS;
  const times = conditions.flatMap(({ type, lastUpdateTime }) => {
    const at = Date.parse(lastUpdateTime ?? '') || made;
    if (type === 'Denied' || type === 'Failed') return [at + SETTLED_MS];
    if (type === 'Approved') return [at + (status?.certificate ? SETTLED_MS : PENDING_MS)];
    return [];
  });
  return times.length > 0 ? Math.min(...times) : Number.POSITIVE_INFINITY;
};

/** Removes certificate requests that are through. */
export const requestCleanupController: Controller<CertificateSigningRequest> = {
  name: 'csr-cleaner',
  watches: [{ resource: certificateSigningRequests, keys: ownKey }],
  observe: (read, key) => read.get<CertificateSigningRequest>(certificateSigningRequests, '', key.name),
  decide(csr, now) {
    const afterMs = cleanAt(csr) - now;
    if (afterMs === Number.POSITIVE_INFINITY || csr.metadata.deletionTimestamp) return { writes: [] };
    if (afterMs > 0) return { writes: [], again: { afterMs } };
    const { uid } = expectsOf(csr);
    return {
      writes: [{ op: 'delete', resource: certificateSigningRequests, target: targetOf(csr), expects: { uid } }],
    };
  },
};
