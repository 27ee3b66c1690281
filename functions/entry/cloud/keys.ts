import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import type { Store } from '../../store/store.ts';

/** The secrets of a deployment, made once and kept in its table, which only its functions and operators may read. */
export interface Keys {
  /** PKCS#8 PEM of the P-256 key that signs service account and node tokens. */
  tokenKey: string;
  /** Static bearer token of the operator (system:masters). */
  adminToken: string;
}

const domain = { cluster: 'system', group: 'skiff.dev', resource: 'keys' };
const key = 'control-plane';
const decoder = new TextDecoder();
const encoder = new TextEncoder();

const makeKeys = (): Keys => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    tokenKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    adminToken: randomBytes(32).toString('base64url'),
  };
};

/** Reads the keys, or makes them at the first start; of two that start at once, both get those of one. */
export const loadKeys = async (store: Store): Promise<Keys> => {
  const known = await store.get(domain, key);
  if (known) return JSON.parse(decoder.decode(known.bytes)) as Keys;
  const made = makeKeys();
  const bytes = () => encoder.encode(JSON.stringify(made));
  const [outcome] = await store.commit(domain, [
    { op: 'create', key, index: { labels: {}, fields: {}, owners: [] }, bytes },
  ]);
  if (outcome?.ok) return made;
  if (outcome?.reason === 'exists') return loadKeys(store);
  throw new Error(`the keys of the deployment could not be stored: ${outcome?.reason}`);
};

/** The authorities that sign certificates of AWS's endpoints, as PEM: what pods trust of the API's URL. */
export const awsAuthorities = (): string =>
  rootCertificates.filter((pem) => /O=(Amazon|Starfield)/.test(new X509Certificate(pem).subject)).join('\n');
