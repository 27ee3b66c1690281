import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { CertificateAuthority } from '../../../functions/controllers/certificates/requests.ts';
import { createCertificateAuthority } from '../../../functions/entry/certificates.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const newKeys = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

/** A new authority of this name. */
export const createTestAuthority = async (name: string): Promise<CertificateAuthority> => {
  const keys = await newKeys();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name,
    notBefore: new Date(0),
    notAfter: new Date('2100-01-01'),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return createCertificateAuthority(
    cert.toString('pem'),
    `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----`,
  );
};

/** `<csr /O=a/CN=b>` as spec.request holds it: base64 of the PEM of a request with this subject and a key of its own. */
export const requestOf = async (text: string): Promise<string> => {
  const subject = (/^<csr \/(.*)>$/.exec(text)?.[1] ?? '').split('/');
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject.join(', '),
    keys: await newKeys(),
    signingAlgorithm: ALGORITHM,
  });
  return Buffer.from(request.toString('pem')).toString('base64');
};

/** What the recordings keep of an issued certificate. */
export const certificateForm = (base64: string) => {
  const certificate = new X509Certificate(Buffer.from(base64, 'base64'));
  const { subject, issuer, ca, keyUsage: ekuOids } = certificate;
  return { subject, issuer, ekuOids, ca };
};
