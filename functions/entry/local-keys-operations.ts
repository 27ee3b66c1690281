import { keyIdOf, type SigningKey, statusOfKeys, withNewKey, withoutKey } from '../apiserver/authn/signing-keys.ts';
import type { TokenAuthority } from '../apiserver/authn/token-authority.ts';
import type { Clock } from '../clock/clock.ts';
import type { KeyAnswer, KeyOperations } from './key-operations.ts';
import type { LocalEncryption } from './local-encryption.ts';
import { type Pki, saveTokenKeys, tokenKeysOf } from './pki.ts';

export interface LocalKeyOptions {
  directory: string;
  pki: Pki;
  authority: TokenAuthority;
  encryption: LocalEncryption;
  clock: Clock;
}

/** The keys of an embedded control plane, which is the only process that has them: what changes counts at once. */
export const localKeyOperations = (options: LocalKeyOptions): KeyOperations => {
  const { directory, authority, encryption, clock } = options;
  let signing = tokenKeysOf(options.pki);
  const use = (next: SigningKey[]): void => {
    // On the disk first: a token of a key that is lost would be worth nothing.
    saveTokenKeys(directory, next);
    signing = next;
    authority.use(next);
  };
  const rotateSigning = (): KeyAnswer => {
    try {
      const next = withNewKey(signing, clock.now(), 0);
      use(next);
      return { name: next[0] ? keyIdOf(next[0]) : '' };
    } catch (error) {
      return { refused: error instanceof Error ? error.message : String(error) };
    }
  };
  const removeSigning = (kid: string): KeyAnswer => {
    const next = withoutKey(signing, kid, clock.now());
    if (typeof next === 'string') return { refused: next };
    use(next);
    return { name: kid };
  };
  return {
    status: async () => ({
      signing: statusOfKeys(signing, clock.now()),
      encryption: await encryption.status(),
    }),
    rotate: async (what) => (what === 'signing' ? rotateSigning() : { name: (await encryption.rotate()).name }),
    remove: async (what, name) => {
      if (what === 'signing') return removeSigning(name);
      const refused = await encryption.remove(name);
      return refused === undefined ? { name } : { refused };
    },
  };
};
