import type { CertificateSigningRequest } from '../../../machinery/kinds.d.ts';
import type { Json, KubeObject } from '../../../machinery/object.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import type { Call } from '../../context.ts';
import type { AdmissionPlugin } from '../admission.ts';
import { refusal } from '../refusal.ts';
import { isAbout, isCreateOf, isUpdateOf } from '../request-type.ts';
import { subjectOf } from './subject.ts';

const requests = 'certificates.k8s.io/certificatesigningrequests';

/** Whether the user may do something in a signer's name, or in that of all signers of its domain. */
const mayFor = async ({ server, info, user }: Call, verb: string, signer: string): Promise<boolean> => {
  for (const name of [signer, `${signer.split('/')[0]}/*`]) {
    const decision = await server.authorizer.authorize({
      cluster: info.cluster,
      user,
      verb,
      isResource: true,
      group: 'certificates.k8s.io',
      version: '*',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
      path: '',
    });
    if (decision.allowed) return true;
  }
  return false;
};

const signerOf = (object: KubeObject | undefined): string =>
  (object as CertificateSigningRequest | undefined)?.spec?.signerName ?? '';

/** Approving takes the right to approve for the request's signer. */
export const certificateApproval: AdmissionPlugin = {
  name: 'CertificateApproval',
  about: [requests],
  validate: async (request) => {
    if (!isUpdateOf(request, requests, 'approval')) return;
    const signer = signerOf(request.old);
    if (await mayFor(request.call, 'approve', signer)) return;
    throw refusal(request, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
  },
};

const signed = (object: KubeObject | undefined): Json => {
  const { certificate, conditions } = (object as CertificateSigningRequest | undefined)?.status ?? {};
  return { certificate: certificate ?? '', conditions: (conditions ?? []) as unknown as Json };
};

/** Writing the certificate or a condition takes the right to sign for the request's signer. */
export const certificateSigning: AdmissionPlugin = {
  name: 'CertificateSigning',
  about: [requests],
  validate: async (request) => {
    if (!isUpdateOf(request, requests, 'status') || equalJson(signed(request.object), signed(request.old))) return;
    const signer = signerOf(request.old);
    if (await mayFor(request.call, 'sign', signer)) return;
    throw refusal(request, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
  },
};

const clientSigner = 'kubernetes.io/kube-apiserver-client';

/** Nobody asks for a client certificate of the group that may do everything. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  about: [requests],
  validate: (request) => {
    if (!isCreateOf(request, requests) || signerOf(request.object) !== clientSigner) return;
    const { spec } = request.object as KubeObject as CertificateSigningRequest;
    let organizations: string[];
    try {
      ({ organizations } = subjectOf(spec?.request ?? ''));
    } catch (error) {
      throw refusal(request, `failed to parse CSR: ${error instanceof Error ? error.message : error}`);
    }
    if (organizations.includes('system:masters'))
      throw refusal(request, `use of ${clientSigner} signer with system:masters group is not allowed`);
  },
};

/** Trust bundles of a signer take the right to attest for it. KEP-3257. */
export const clusterTrustBundleAttest: AdmissionPlugin = {
  name: 'ClusterTrustBundleAttest',
  about: ['certificates.k8s.io/clustertrustbundles'],
  validate: async (request) => {
    const { operation, object, old } = request;
    if (!isAbout(request, 'certificates.k8s.io/clustertrustbundles')) return;
    if (operation !== 'CREATE' && operation !== 'UPDATE') return;
    const signer = object?.spec?.signerName;
    if (typeof signer !== 'string' || !signer) return;
    if (operation === 'UPDATE' && equalJson(object?.spec ?? {}, old?.spec ?? {})) return;
    if (await mayFor(request.call, 'attest', signer)) return;
    throw refusal(request, `user not permitted to attest for signerName ${JSON.stringify(signer)}`);
  },
};
