import { timestamp } from '../../clock/clock.ts';
import type { CertificateSigningRequest } from '../../machinery/kinds.d.ts';
import type { Controller } from '../controller.ts';
import { ownKey } from '../owners.ts';
import { certificateSigningRequests } from '../resources.ts';
import { isApproved, isDenied, KUBELET_CLIENT, pemOf, type SignerOptions, signers } from './requests.ts';

const MESSAGES: Record<string, string> = {
  selfnodeclient: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  nodeclient: 'Auto approving kubelet client certificate after SubjectAccessReview.',
};

/**
 * Approves kubelets' requests for a client certificate, where the requester holds the right: `selfnodeclient` for its own
 * node, `nodeclient` for another. Source: the reference page "TLS bootstrapping".
 */
export const createKubeletApprovalController = ({
  certificates,
  mayCreate,
}: SignerOptions): Controller<{ csr: CertificateSigningRequest; message: string }> => ({
  name: 'csr-approving',
  watches: [{ resource: certificateSigningRequests, keys: ownKey }],
  async observe(read, key) {
    const csr = await read.get<CertificateSigningRequest>(certificateSigningRequests, '', key.name);
    if (!certificates || !mayCreate || csr?.spec?.signerName !== KUBELET_CLIENT) return undefined;
    if (isApproved(csr) || isDenied(csr) || csr.status?.certificate) return undefined;
    const request = await certificates.parse(pemOf(csr));
    if (signers[KUBELET_CLIENT]?.(request, csr.spec.usages ?? []) !== undefined) return undefined;
    const rights = csr.spec.username === request.commonName ? ['selfnodeclient', 'nodeclient'] : ['nodeclient'];
    for (const right of rights)
      if (await mayCreate(read.cluster, csr, right)) return { csr, message: MESSAGES[right] ?? '' };
    return undefined;
  },
  decide({ csr, message }, now) {
    const time = timestamp(now);
    const approved = { type: 'Approved', status: 'True', reason: 'AutoApproved', message };
    const condition = { ...approved, lastUpdateTime: time, lastTransitionTime: time };
    const status = { ...csr.status, conditions: [...(csr.status?.conditions ?? []), condition] };
    const object = { ...csr, status };
    return { writes: [{ op: 'update', resource: certificateSigningRequests, object, subresource: 'approval' }] };
  },
});
