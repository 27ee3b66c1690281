import { keyIdOf, statusOfKeys } from '../../apiserver/authn/signing-keys.ts';
import type { Clock } from '../../clock/clock.ts';
import { currentDataKey, listDataKeys, removeDataKey } from '../../store/encryption/data-keys.ts';
import { clustersIn, countKeys, createRewriting, readState } from '../../store/encryption/rewrite.ts';
import type { Store } from '../../store/store.ts';
import type { KeyAnswer, KeyOperations } from '../key-operations.ts';
import type { CloudEncryption } from './encryption.ts';
import { readTokenKeys, retireTokenKey, rotateTokenKeys } from './keys.ts';

export interface CloudKeyOptions extends CloudEncryption {
  inner: Store;
  clock: Clock;
  log(line: string): void;
}

const OWN = 'skiff';
/** Functions ask once a minute which data key encrypts; a write under the old one may have begun just before. */
export const OTHERS_MS = 75_000;

/** The keys of a deployment, over its table; functions follow within two minutes. */
export const cloudKeyOperations = (options: CloudKeyOptions): KeyOperations => {
  const { inner, store, encryption, clock, log } = options;
  const clusters = () => clustersIn(inner);
  const counts = () => countKeys({ inner, encryption: () => encryption, clusters });
  const rewriting = () =>
    createRewriting({ inner, store, encryption: () => encryption, clusters, clock, log, resources: () => [] });

  const rotateEncryption = async (): Promise<KeyAnswer> => {
    const provider = options.providers.all[0];
    if (!provider) return { refused: 'the deployment has no KMS key' };
    const { id } = await provider.rotate();
    log(`functions take the new data key within ${OTHERS_MS / 1000} s; then everything is encrypted anew`);
    await clock.sleep(OTHERS_MS);
    if (await rewriting().check()) return { name: id };
    return { refused: `${id} encrypts from now on, but what lies under older keys stays: try again` };
  };
  const removeDataKeyOf = async (id: string): Promise<KeyAnswer> => {
    if (!(await listDataKeys(inner)).some((key) => key.id === id)) return { refused: `there is no data key ${id}` };
    if ((await currentDataKey(inner, OWN))?.key?.id === id) return { refused: `${id} is the newest key: rotate first` };
    const under = Object.entries(await counts()).find(([name]) => name.endsWith(`:${id}`))?.[1] ?? 0;
    if (under > 0) return { refused: `${under} values lie under ${id}` };
    await removeDataKey(inner, id);
    return { name: id };
  };
  return {
    status: async () => {
      const keys = await listDataKeys(inner);
      await encryption.ready();
      return {
        signing: statusOfKeys(await readTokenKeys(store), clock.now()),
        encryption: {
          keys: keys
            .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
            .map(({ id, createdAt }) => ({ name: id, createdAt })),
          writers: encryption.writers,
          rewritten: (await readState(inner))?.writers === encryption.writers,
          values: await counts(),
        },
      };
    },
    rotate: async (what) => {
      if (what === 'encryption') return rotateEncryption();
      const next = await rotateTokenKeys(store, clock.now());
      if (typeof next === 'string') return { refused: next };
      return { name: next[0] ? keyIdOf(next[0]) : '' };
    },
    remove: async (what, name) => {
      if (what === 'encryption') return removeDataKeyOf(name);
      const next = await retireTokenKey(store, name, clock.now());
      return typeof next === 'string' ? { refused: next } : { name };
    },
  };
};
