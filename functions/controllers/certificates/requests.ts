import type { CertificateSigningRequest } from '../../machinery/kinds.d.ts';
import { isTrue } from '../conditions.ts';

/** What a certificate request (PKCS #10) asks for. */
export interface CertificateRequest {
  commonName: string;
  organizations: readonly string[];
  dnsNames: readonly string[];
  emails: readonly string[];
  addresses: readonly string[];
  uris: readonly string[];
}

/** Reads requests, and signs them with the cluster's authority. */
export interface CertificateAuthority {
  /** `pem` as in spec.request once its base64 is undone. Rejects where it is none. */
  parse(pem: string): Promise<CertificateRequest>;
  /** PEM of a certificate with the request's subject and key, which counts in one cluster; `default` where absent. */
  sign(
    pem: string,
    issue: { usages: readonly string[]; seconds: number; now: number; cluster?: string },
  ): Promise<string>;
}

export interface SignerOptions {
  /** Without it requests stay as they are. */
  certificates?: CertificateAuthority;
  /** Whether the requester may create this subresource of certificatesigningrequests (SubjectAccessReview). */
  mayCreate?(cluster: string, request: CertificateSigningRequest, subresource: string): Promise<boolean>;
}

export const CLIENT = 'kubernetes.io/kube-apiserver-client';
export const KUBELET_CLIENT = 'kubernetes.io/kube-apiserver-client-kubelet';
export const KUBELET_SERVING = 'kubernetes.io/kubelet-serving';

const isOneOf = (usages: readonly string[], wanted: readonly string[]): boolean => {
  const given = new Set(usages);
  const without = wanted.filter((usage) => usage !== 'key encipherment');
  const equals = (set: readonly string[]) => set.length === given.size && set.every((usage) => given.has(usage));
  return equals(wanted) || equals(without);
};

const CLIENT_USAGES = ['digital signature', 'key encipherment', 'client auth'];
const SERVING_USAGES = ['digital signature', 'key encipherment', 'server auth'];

const nodeFault = (request: CertificateRequest): string | undefined =>
  request.organizations.length === 1 && request.organizations[0] === 'system:nodes'
    ? undefined
    : 'organization is not exactly system:nodes';
const nameFault = (request: CertificateRequest): string | undefined =>
  request.commonName.startsWith('system:node:') ? undefined : 'common name does not begin with system:node:';

const kubeletClientFault = (request: CertificateRequest, usages: readonly string[]): string | undefined => {
  const { dnsNames, emails, addresses, uris } = request;
  if (nodeFault(request)) return nodeFault(request);
  if (dnsNames.length + emails.length + addresses.length + uris.length > 0) return 'alternative names are not allowed';
  if (nameFault(request)) return nameFault(request);
  return isOneOf(usages, CLIENT_USAGES) ? undefined : `usages are not ${CLIENT_USAGES.join(', ')}`;
};

const servingFault = (request: CertificateRequest, usages: readonly string[]): string | undefined => {
  const { dnsNames, emails, addresses, uris } = request;
  if (nodeFault(request)) return nodeFault(request);
  if (dnsNames.length + addresses.length === 0) return 'a DNS name or an IP address is required';
  if (emails.length + uris.length > 0) return 'e-mail addresses and URIs are not allowed';
  if (!isOneOf(usages, SERVING_USAGES)) return `usages are not ${SERVING_USAGES.join(', ')}`;
  return nameFault(request);
};

const clientFault = (usages: readonly string[]): string | undefined => {
  const other = usages.find((usage) => !CLIENT_USAGES.includes(usage));
  if (other !== undefined) return `invalid usage for client certificate: ${other}`;
  return usages.includes('client auth') ? undefined : 'missing required usage for client certificate: client auth';
};

/** Signers of Kubernetes' own: what each refuses. Source: the reference page "Certificates and Certificate Signing Requests". */
export const signers: Record<
  string,
  ((request: CertificateRequest, usages: readonly string[]) => string | undefined) | undefined
> = {
  [CLIENT]: (_request, usages) => clientFault(usages),
  [KUBELET_CLIENT]: kubeletClientFault,
  [KUBELET_SERVING]: servingFault,
};

export const pemOf = (csr: CertificateSigningRequest): string =>
  Buffer.from(csr.spec?.request ?? '', 'base64').toString();

const holds = (type: string) => (csr: CertificateSigningRequest) => isTrue(csr.status?.conditions, type);
export const isApproved = (csr: CertificateSigningRequest): boolean => holds('Approved')(csr) && !holds('Denied')(csr);
export const isDenied = holds('Denied');
export const isFailed = holds('Failed');
