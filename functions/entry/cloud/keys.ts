import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import {
  PUBLISHED_MS,
  type SigningKey,
  signerAt,
  signingKeysOf,
  withNewKey,
  withoutKey,
} from '../../apiserver/authn/signing-keys.ts';
import type { Store, Stored } from '../../store/store.ts';

/** The secrets of a deployment, made once and kept in its table, which only its functions and operators may read. */
export interface Keys {
  /** PKCS#8 PEM of the P-256 key that signs service account and node tokens. */
  tokenKey: string;
  /** All keys whose tokens count, newest first; `tokenKey` alone where absent. */
  tokenKeys?: readonly SigningKey[];
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

const read = async (store: Store): Promise<{ stored: Stored; keys: Keys }> => {
  const stored = await store.get(domain, key);
  if (!stored) throw new Error('the deployment has no keys yet');
  return { stored, keys: JSON.parse(decoder.decode(stored.bytes)) as Keys };
};

/** The keys that sign and verify tokens, as the table has them now. */
export const readTokenKeys = async (store: Store): Promise<SigningKey[]> => signingKeysOf((await read(store)).keys);

/** Changes the keys that sign and verify; what `change` answers with a string is told and changes nothing. */
const changeTokenKeys = async (
  store: Store,
  now: number,
  change: (keys: readonly SigningKey[]) => SigningKey[] | string,
): Promise<SigningKey[] | string> => {
  for (;;) {
    const { stored, keys } = await read(store);
    const tokenKeys = change(signingKeysOf(keys));
    if (typeof tokenKeys === 'string') return tokenKeys;
    const next: Keys = { ...keys, tokenKey: signerAt(tokenKeys, now).pem, tokenKeys };
    const bytes = () => encoder.encode(JSON.stringify(next));
    const index = { labels: {}, fields: {}, owners: [] };
    const [outcome] = await store.commit(domain, [{ op: 'update', key, expected: stored.revision, index, bytes }]);
    if (outcome?.ok) return tokenKeys;
    if (outcome?.reason !== 'changed') throw new Error(`the keys could not be stored: ${outcome?.reason}`);
  }
};

/** Adds a key that signs tokens two minutes later: by then every function knows it. */
export const rotateTokenKeys = (store: Store, now: number): Promise<SigningKey[] | string> =>
  changeTokenKeys(store, now, (keys) => withNewKey(keys, now, PUBLISHED_MS));

/** Takes a key away, and with it the tokens that it signed; says why where it cannot go. */
export const retireTokenKey = (store: Store, kid: string, now: number): Promise<SigningKey[] | string> =>
  changeTokenKeys(store, now, (keys) => withoutKey(keys, kid, now));

/** The authorities that sign certificates of AWS's endpoints, as PEM: what pods trust of the API's URL. */
export const awsAuthorities = (): string =>
  rootCertificates.filter((pem) => /O=(Amazon|Starfield)/.test(new X509Certificate(pem).subject)).join('\n');
