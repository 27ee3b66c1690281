import 'reflect-metadata';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { FRONT_ADDRESSES, FRONT_NAMES } from './front-names.ts';

/** What an embedded cluster needs to be trusted and to trust: PEM texts and secrets, kept in one folder (mode 0600). */
export interface Pki {
  caCert: string;
  caKey: string;
  serverCert: string;
  serverKey: string;
  /** PKCS#8 PEM of the P-256 key that signs service account and node tokens. */
  tokenKey: string;
  /** Static bearer token of the administrator (system:masters). */
  adminToken: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const YEAR_MS = 365 * 86_400_000;

const pem = (label: string, der: ArrayBuffer): string => {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
};

const newKey = async () => {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  return { keys, pem: pem('PRIVATE KEY', await crypto.subtle.exportKey('pkcs8', keys.privateKey)) };
};

const importKey = async (text: string): Promise<CryptoKey> => {
  const der = Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return crypto.subtle.importKey('pkcs8', der, ALGORITHM, true, ['sign']);
};

const serial = (): string => `01${randomBytes(12).toString('hex')}`;

const createAuthority = async () => {
  const { keys, pem: key } = await newKey();
  const now = Date.now();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=skiff-ca',
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
const issueServer = async (
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

const RENEW_BEFORE_MS = 30 * 86_400_000;

/**
 * Reads the keys of a data directory, or makes them at the first start; the server certificate is renewed a month before
 * it ends. Written to a temporary name first, so that a crash leaves no half file.
 */
export const loadPki = async (directory: string): Promise<Pki> => {
  const path = join(directory, 'pki.json');
  const save = (pki: Pki): Pki => {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.tmp`, JSON.stringify(pki), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
    return pki;
  };
  if (!existsSync(path)) {
    const ca = await createAuthority();
    const server = await issueServer(ca, FRONT_NAMES, FRONT_ADDRESSES);
    return save({
      caCert: ca.cert.toString('pem'),
      caKey: ca.key,
      serverCert: server.cert,
      serverKey: server.key,
      tokenKey: (await newKey()).pem,
      adminToken: randomBytes(32).toString('base64url'),
    });
  }
  const pki = JSON.parse(readFileSync(path, 'utf8')) as Pki;
  const ends = new x509.X509Certificate(pki.serverCert).notAfter.getTime();
  if (ends - Date.now() > RENEW_BEFORE_MS) return pki;
  const server = await issueServing(pki, FRONT_NAMES, FRONT_ADDRESSES);
  return save({ ...pki, serverCert: server.cert, serverKey: server.key });
};

/** A short, stable id of a data directory: names its network namespaces, so that two of them never meet. */
export const directoryId = (directory: string): string =>
  createHash('sha256').update(directory).digest('hex').slice(0, 6);
