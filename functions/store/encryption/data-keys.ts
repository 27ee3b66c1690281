import type { Domain, Store, Write } from '../store.ts';

/** A key that encrypts values, itself encrypted by a KMS key; kept in the store, of use only to who may use that key. */
export interface DataKey {
  id: string;
  /** The provider's name in the configuration. */
  provider: string;
  /** What the provider asked KMS for: an ARN, an alias or an id. */
  kmsKey: string;
  /** Base64 of what KMS wrapped. */
  wrapped: string;
  /** RFC 3339. */
  createdAt: string;
}

const domain: Domain = { cluster: 'system', group: 'skiff.dev', resource: 'datakeys' };
const noIndex = { labels: {}, fields: {}, owners: [] };
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const pointer = (provider: string): string => `current.${provider}`;

const put = async (inner: Store, write: Omit<Write & { op: 'update' }, 'index' | 'bytes' | 'op'>, value: object) => {
  const bytes = () => encoder.encode(JSON.stringify(value));
  const { key, expected } = write;
  const state = { key, index: noIndex, bytes };
  const [outcome] = await inner.commit(domain, [
    expected === 0n ? { op: 'create', ...state } : { op: 'update', expected, ...state },
  ]);
  if (outcome?.ok || (outcome && 'current' in outcome) || outcome?.reason === 'exists') return outcome.ok;
  throw new Error(`a data key could not be stored: ${outcome?.reason}`);
};

/** Undefined where there is none of that id. */
export const readDataKey = async (inner: Store, id: string): Promise<DataKey | undefined> => {
  const stored = await inner.get(domain, id);
  return stored && (JSON.parse(decoder.decode(stored.bytes)) as DataKey);
};

/**
 * The data key that encrypts for a provider now, with the revision at which it was chosen; without a key where the one that
 * was chosen is gone.
 */
export const currentDataKey = async (
  inner: Store,
  provider: string,
): Promise<{ key: DataKey | undefined; revision: bigint } | undefined> => {
  const stored = await inner.get(domain, pointer(provider));
  if (!stored) return undefined;
  const { id } = JSON.parse(decoder.decode(stored.bytes)) as { id: string };
  return { key: await readDataKey(inner, id), revision: stored.revision };
};

/** Keeps a new data key and lets it encrypt from now on; false where somebody else was faster. */
export const chooseDataKey = async (inner: Store, key: DataKey, replaces: bigint | undefined): Promise<boolean> => {
  await put(inner, { key: key.id, expected: 0n }, key);
  const chosen = await put(inner, { key: pointer(key.provider), expected: replaces ?? 0n }, { id: key.id });
  if (!chosen) await removeDataKey(inner, key.id);
  return chosen;
};

/** All data keys, of all providers. */
export const listDataKeys = async (inner: Store): Promise<DataKey[]> => {
  const { items } = await inner.scan(domain, '', 10_000);
  const keys = items.filter(({ key }) => !key.startsWith('current.'));
  return keys.map(({ bytes }) => JSON.parse(decoder.decode(bytes)) as DataKey);
};

export const removeDataKey = async (inner: Store, id: string): Promise<void> => {
  const stored = await inner.get(domain, id);
  if (stored) await inner.commit(domain, [{ op: 'delete', key: id, expected: stored.revision }]);
};
