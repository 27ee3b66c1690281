import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FRONT_PROXY_NAME, type FrontProxy } from '../apiserver/aggregation/identity.ts';
import { type SigningKey, signerAt, signingKeysOf } from '../apiserver/authn/signing-keys.ts';
import { FRONT_ADDRESSES, FRONT_NAMES } from './front-names.ts';

/** What an embedded cluster needs to be trusted and to trust: PEM texts and secrets, kept in one folder (mode 0600). */
export interface Pki {
  caCert: string;
  caKey: string;
  serverCert: string;
  serverKey: string;
  /** PKCS#8 PEM of the P-256 key that signs service account and node tokens. */
  tokenKey: string;
  /** All keys whose tokens count, newest first; `tokenKey` alone where absent. */
  tokenKeys?: readonly SigningKey[];
  /** How other API servers know that a request comes from this one; of an authority of its own. */
  frontProxy: FrontProxy & { caKey: string };
  /** Static bearer token of the administrator (system:masters). */
  adminToken: string;
}

const RENEW_BEFORE_MS = 30 * 86_400_000;

const pathOf = (directory: string): string => join(directory, 'pki.json');
const write = (directory: string, pki: Pki): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = pathOf(directory);
  writeFileSync(`${path}.tmp`, JSON.stringify(pki), { mode: 0o600, flush: true });
  renameSync(`${path}.tmp`, path);
};

/** Keeps other keys for tokens; the rest of what a data directory has stays. */
export const saveTokenKeys = (directory: string, tokenKeys: readonly SigningKey[]): void => {
  const kept = JSON.parse(readFileSync(pathOf(directory), 'utf8')) as Pki;
  write(directory, { ...kept, tokenKey: signerAt(tokenKeys, Date.now()).pem, tokenKeys });
};
export const tokenKeysOf = (pki: Pki): SigningKey[] => signingKeysOf(pki);

/**
 * Reads the keys of a data directory, or makes them at the first start; the server certificate is renewed a month before
 * it ends, and where it lacks a name that is served. Written to a temporary name first, so that a crash leaves no half file.
 */
export const loadPki = async (directory: string): Promise<Pki> => {
  const path = pathOf(directory);
  const save = (pki: Pki): Pki => {
    write(directory, pki);
    return pki;
  };
  if (!existsSync(path)) {
    // What issues certificates is loaded on the days when one is issued.
    const { createAuthority, issueFrontProxy, issueServer, newKey } = await import('./issue.ts');
    const ca = await createAuthority();
    const server = await issueServer(ca, FRONT_NAMES, FRONT_ADDRESSES);
    return save({
      caCert: ca.cert.toString('pem'),
      caKey: ca.key,
      serverCert: server.cert,
      serverKey: server.key,
      tokenKey: (await newKey()).pem,
      frontProxy: await issueFrontProxy(FRONT_PROXY_NAME),
      adminToken: randomBytes(32).toString('base64url'),
    });
  }
  const kept = JSON.parse(readFileSync(path, 'utf8')) as Omit<Pki, 'frontProxy'> & Partial<Pki>;
  const { frontProxy } = kept;
  const pki: Pki = frontProxy?.caKey ? { ...kept, frontProxy } : save(await withFrontProxy(kept));
  const certificate = new X509Certificate(pki.serverCert);
  if (Date.parse(certificate.validTo) - Date.now() > RENEW_BEFORE_MS && isForFront(certificate)) return pki;
  const { issueServing } = await import('./issue.ts');
  const server = await issueServing(pki, FRONT_NAMES, FRONT_ADDRESSES);
  return save({ ...pki, serverCert: server.cert, serverKey: server.key });
};

/** A folder of an older version has a certificate for fewer names. */
const isForFront = (certificate: X509Certificate): boolean =>
  FRONT_NAMES.every((name) => certificate.checkHost(name) !== undefined) &&
  FRONT_ADDRESSES.every((address) => certificate.checkIP(address) !== undefined);

/** A folder of an older version has none yet, or one without its authority. */
const withFrontProxy = async (kept: Omit<Pki, 'frontProxy'>): Promise<Pki> => {
  const { issueFrontProxy } = await import('./issue.ts');
  return { ...kept, frontProxy: await issueFrontProxy(FRONT_PROXY_NAME) };
};

/** A short, stable id of a data directory: names its network namespaces, so that two of them never meet. */
export const directoryId = (directory: string): string =>
  createHash('sha256').update(directory).digest('hex').slice(0, 6);
