import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { type NamePart, readSubject, requestBytes, subjectParts } from '../apiserver/admission/certificates/subject.ts';
import { certificateScope, scopedSerial } from '../apiserver/authn/certificate-scope.ts';
import type { CertificateAuthority, CertificateRequest } from '../controllers/certificates/requests.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const BACKDATE_MS = 300_000;

/** certificates.k8s.io/v1 KeyUsage, as X.509 has it. */
const KEY_USAGES: Record<string, x509.KeyUsageFlags> = {
  'digital signature': x509.KeyUsageFlags.digitalSignature,
  signing: x509.KeyUsageFlags.digitalSignature,
  'content commitment': x509.KeyUsageFlags.nonRepudiation,
  'key encipherment': x509.KeyUsageFlags.keyEncipherment,
  'key agreement': x509.KeyUsageFlags.keyAgreement,
  'data encipherment': x509.KeyUsageFlags.dataEncipherment,
  'cert sign': x509.KeyUsageFlags.keyCertSign,
  'crl sign': x509.KeyUsageFlags.cRLSign,
  'encipher only': x509.KeyUsageFlags.encipherOnly,
  'decipher only': x509.KeyUsageFlags.decipherOnly,
};
const EXTENDED: Record<string, string> = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
};

const alternativeNames = (request: x509.Pkcs10CertificateRequest): x509.SubjectAlternativeNameExtension | undefined =>
  request.extensions.find((one) => one instanceof x509.SubjectAlternativeNameExtension);

/** What of a subject an issued certificate keeps, by object identifier as subjects are read. Go's pkix.Name keeps as much. */
const KEPT: Readonly<Record<string, string>> = {
  '550403': '2.5.4.3',
  '550405': '2.5.4.5',
  '550406': '2.5.4.6',
  '550407': '2.5.4.7',
  '550408': '2.5.4.8',
  '550409': '2.5.4.9',
  '55040a': '2.5.4.10',
  '55040b': '2.5.4.11',
  '550411': '2.5.4.17',
};

/**
 * The name of a certificate, made anew of what was read of the request and checked: a text stays that very text, and a
 * common name is said once.
 */
const issuedName = (parts: readonly NamePart[]): x509.Name => {
  const common = parts.findLast(({ type }) => KEPT[type] === '2.5.4.3');
  const kept = parts.filter((part) => KEPT[part.type] && (KEPT[part.type] !== '2.5.4.3' || part === common));
  return new x509.Name(kept.map(({ type, text }) => ({ [KEPT[type] ?? '']: [{ utf8String: text }] })));
};

const parsed = (bytes: Uint8Array, request: x509.Pkcs10CertificateRequest): CertificateRequest => {
  const names = alternativeNames(request)?.names.items ?? [];
  const of = (type: x509.GeneralNameType) => names.filter((name) => name.type === type).map((name) => name.value);
  return {
    ...readSubject(subjectParts(bytes)),
    dnsNames: of('dns'),
    emails: of('email'),
    addresses: of('ip'),
    uris: of('url'),
  };
};

/** Issues certificates with the authority of a deployment; `uidOf` knows the uids of its clusters. */
export const createCertificateAuthority = (
  caCertPem: string,
  caKeyPem: string,
  uidOf?: (cluster: string) => string | undefined,
): CertificateAuthority => {
  const ca = new x509.X509Certificate(caCertPem);
  const der = Buffer.from(caKeyPem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const signer = crypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
  return {
    parse: async (pem) => {
      const bytes = requestBytes(pem);
      const request = new x509.Pkcs10CertificateRequest(bytes);
      if (!(await request.verify())) throw new Error('the signature of the certificate request does not hold');
      return parsed(bytes, request);
    },
    sign: async (pem, { usages, seconds, now, cluster = 'default' }) => {
      const bytes = requestBytes(pem);
      const request = new x509.Pkcs10CertificateRequest(bytes);
      const names = alternativeNames(request);
      const flags = usages.reduce((all, usage) => all | (KEY_USAGES[usage] ?? 0), 0);
      const extended = [...new Set(usages.flatMap((usage) => EXTENDED[usage] ?? []))];
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: scopedSerial(certificateScope(cluster, uidOf?.(cluster)), randomBytes(12).toString('hex')),
        subject: issuedName(subjectParts(bytes)),
        issuer: ca.subject,
        notBefore: new Date(now - BACKDATE_MS),
        notAfter: new Date(Math.min(now + seconds * 1000, ca.notAfter.getTime())),
        signingKey: await signer,
        publicKey: request.publicKey,
        signingAlgorithm: ALGORITHM,
        extensions: [
          // One of no usage at all makes the certificate one that OpenSSL takes from nobody.
          ...(flags ? [new x509.KeyUsagesExtension(flags, true)] : []),
          ...(extended.length ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
          new x509.BasicConstraintsExtension(false, undefined, true),
          ...(names ? [names] : []),
        ],
      });
      return certificate.toString('pem');
    },
  };
};
