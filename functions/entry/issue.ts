import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const YEAR_MS = 365 * 86_400_000;

const pem = (label: string, der: ArrayBuffer): string => {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
};

export const newKey = async () => {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  return { keys, pem: pem('PRIVATE KEY', await crypto.subtle.exportKey('pkcs8', keys.privateKey)) };
};

const importKey = async (text: string): Promise<CryptoKey> => {
  const der = Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return crypto.subtle.importKey('pkcs8', der, ALGORITHM, true, ['sign']);
};

const serial = (): string => `01${randomBytes(12).toString('hex')}`;

export const createAuthority = async (commonName = 'skiff-ca') => {
  const { keys, pem: key } = await newKey();
  const now = Date.now();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName}`,
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + 10 * YEAR_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert, key, signer: keys.privateKey };
};

/** A certificate authority: PEM texts. */
export interface Authority {
  caCert: string;
  caKey: string;
}

/** A new authority, good for ten years. */
export const makeAuthority = async (): Promise<Authority> => {
  const { cert, key } = await createAuthority();
  return { caCert: cert.toString('pem'), caKey: key };
};

/**
 * How the API server shows itself to others that it passes requests on to (apiserver/aggregation): a client certificate of
 * an authority of its own, which vouches for nothing else. PEM, good for ten years.
 */
export const issueFrontProxy = async (commonName: string) => {
  const ca = await createAuthority('skiff-front-proxy-ca');
  const authority: Authority = { caCert: ca.cert.toString('pem'), caKey: ca.key };
  return { ...authority, ...(await issueFrontIdentity(authority, commonName)) };
};

/** The same by an authority that is there. */
export const issueFrontIdentity = async (
  { caCert, caKey }: Authority,
  commonName: string,
): Promise<{ cert: string; key: string }> => {
  const issuer = new x509.X509Certificate(caCert);
  const { keys, pem: key } = await newKey();
  const now = Date.now();
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: [{ CN: [commonName] }],
    issuer: issuer.subject,
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + 10 * YEAR_MS),
    signingKey: await importKey(caKey),
    publicKey: keys.publicKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    ],
  });
  return { cert: cert.toString('pem'), key };
};

/** A certificate request (PKCS#10, PEM) for these names and addresses, and its key. */
export const requestServing = async (
  commonName: string,
  names: string[],
  addresses: string[],
): Promise<{ request: string; key: string }> => {
  const { keys, pem: key } = await newKey();
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: `CN=${commonName}`,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: 'dns' as const, value })),
        ...addresses.map((value) => ({ type: 'ip' as const, value })),
      ]),
    ],
  });
  return { request: request.toString('pem'), key };
};

/** A server certificate and its key as PEM, good for a year, for these DNS names and IP addresses. */
export const issueServing = async (
  { caCert, caKey }: Authority,
  names: string[],
  addresses: string[],
): Promise<{ cert: string; key: string }> =>
  issueServer({ cert: new x509.X509Certificate(caCert), signer: await importKey(caKey) }, names, addresses);

/** A server certificate for these names and addresses, signed by the authority. */
export const issueServer = async (
  ca: { cert: x509.X509Certificate; signer: CryptoKey },
  names: string[],
  addresses: string[],
) => {
  const { keys, pem: key } = await newKey();
  const now = Date.now();
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: 'CN=kube-apiserver',
    issuer: ca.cert.subject,
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + YEAR_MS),
    signingKey: ca.signer,
    publicKey: keys.publicKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: 'dns' as const, value })),
        ...addresses.map((value) => ({ type: 'ip' as const, value })),
      ]),
    ],
  });
  return { cert: cert.toString('pem'), key };
};
