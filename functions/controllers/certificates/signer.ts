import { timestamp } from '../../clock/clock.ts';
import type { CertificateSigningRequest } from '../../machinery/kinds.d.ts';
import type { Controller, Plan } from '../controller.ts';
import { ownKey } from '../owners.ts';
import { certificateSigningRequests } from '../resources.ts';
import { isApproved, isFailed, pemOf, type SignerOptions, signers } from './requests.ts';

export type { SignerOptions } from './requests.ts';

export interface SigningObserved {
  csr: CertificateSigningRequest;
  /** PEM, or why there is none. */
  issued: { certificate: string } | { fault: string };
}

const YEAR_SECONDS = 365 * 86_400;

const decide = ({ csr, issued }: SigningObserved, now: number): Plan => {
  const conditions = csr.status?.conditions ?? [];
  const time = timestamp(now);
  const status =
    'certificate' in issued
      ? { ...csr.status, certificate: Buffer.from(issued.certificate).toString('base64') }
      : {
          ...csr.status,
          conditions: [
            ...conditions,
            {
              type: 'Failed',
              status: 'True',
              reason: 'SignerValidationFailure',
              message: issued.fault,
              lastUpdateTime: time,
              lastTransitionTime: time,
            },
          ],
        };
  const object = { ...csr, status };
  return { writes: [{ op: 'update', resource: certificateSigningRequests, object, subresource: 'status' }] };
};

/** Signs approved requests to Kubernetes' own signers, or says why a request is not theirs to sign. */
export const createSigningController = ({ certificates }: SignerOptions): Controller<SigningObserved> => ({
  name: 'csr-signing',
  watches: [{ resource: certificateSigningRequests, keys: ownKey }],
  async observe(read, key) {
    const csr = await read.get<CertificateSigningRequest>(certificateSigningRequests, '', key.name);
    const check = signers[csr?.spec?.signerName ?? ''];
    if (!certificates || !csr || !check || !isApproved(csr) || isFailed(csr) || csr.status?.certificate)
      return undefined;
    const pem = pemOf(csr);
    const usages = csr.spec?.usages ?? [];
    const fault = check(await certificates.parse(pem), usages);
    if (fault !== undefined) return { csr, issued: { fault } };
    const seconds = Math.min(csr.spec?.expirationSeconds ?? YEAR_SECONDS, YEAR_SECONDS);
    // Valid from the approval on: the same request gives the same dates, whenever it is looked at.
    const approved = csr.status?.conditions?.find((c) => c.type === 'Approved')?.lastUpdateTime;
    const now = Date.parse(approved ?? csr.metadata.creationTimestamp ?? '');
    const issue = { usages, seconds, now, cluster: read.cluster };
    return { csr, issued: { certificate: await certificates.sign(pem, issue) } };
  },
  decide,
});
