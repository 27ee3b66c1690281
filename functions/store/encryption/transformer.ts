import type { Cipher } from './cipher.ts';
import { boxCipher, cbcCipher, gcmCipher } from './cipher.ts';
import type { EncryptionKey, KmsSettings, ProviderSettings } from './configuration.ts';

/** How values of some resources lie in the store: sealed by the first provider, opened by any. */
export interface Transformer {
  /** What seals: provider and key, as `aesgcm:key1`; `identity` where values lie plain. */
  readonly writer: string;
  /** Undefined where a value can be sealed now; else resolves when it can be. Rejects where no key is to be had. */
  ready(): Promise<void> | undefined;
  seal(context: string, plain: Uint8Array): Uint8Array;
  /** Undefined where the value can be opened now; else fetches its key. Rejects where the key is out of reach for now. */
  prepare(value: Uint8Array): Promise<void> | undefined;
  /** Throws where the value cannot be opened, now or ever. */
  open(context: string, value: Uint8Array): Uint8Array;
  /** Under which key a value lies: `aesgcm:key1`, `identity`, or `unknown` where none here opens it. */
  keyOf(value: Uint8Array): string;
}

/** One key of a provider. */
export interface KeyedCipher {
  /** What values begin with. */
  prefix: Uint8Array;
  /** `aesgcm:key1`. */
  name: string;
  cipher: Cipher;
}

/** One provider: `first` seals, and `find` has what opens a value. */
export interface Provider {
  /** What values of the provider begin with, whatever their key; empty for plain values. */
  readonly prefix: Uint8Array;
  first(): KeyedCipher | undefined;
  find(value: Uint8Array): KeyedCipher | undefined;
  ready?(): Promise<void> | undefined;
  prepare?(value: Uint8Array): Promise<void> | undefined;
  /** The key's name where it is not at hand. */
  nameOf?(value: Uint8Array): string | undefined;
  /** Said where no key of the provider fits. */
  readonly noKey: string;
}

/** Every sealed value begins so, as the Kubernetes documentation shows; the layouts behind it are our own. */
export const SEALED = Buffer.from('k8s:enc:');

export const startsWith = (value: Uint8Array, prefix: Uint8Array): boolean => {
  if (value.byteLength < prefix.byteLength) return false;
  for (let i = 0; i < prefix.byteLength; i++) if (value[i] !== prefix[i]) return false;
  return true;
};
export const isSealed = (value: Uint8Array): boolean => startsWith(value, SEALED);

const keyed = async (
  kind: string,
  shown: string,
  keys: readonly EncryptionKey[],
  make: (secret: Uint8Array) => Cipher | Promise<Cipher>,
): Promise<Provider> => {
  const prefix = `k8s:enc:${kind}:v2:`;
  const ciphers = await Promise.all(
    keys.map(async ({ name, secret }) => ({
      prefix: Buffer.from(`${prefix}${name}:`),
      name: `${kind}:${name}`,
      cipher: await make(Buffer.from(secret, 'base64')),
    })),
  );
  return {
    prefix: Buffer.from(prefix),
    first: () => ciphers[0],
    find: (value) => ciphers.find((one) => startsWith(value, one.prefix)),
    noKey: `no matching key was found for the provided ${shown} transformer`,
  };
};

const identity: Provider = {
  prefix: new Uint8Array(),
  first: () => undefined,
  find: () => undefined,
  noKey: '',
};

/** Makes the provider of a KMS key. */
export type KmsProviders = (settings: KmsSettings) => Provider | Promise<Provider>;

const providerOf = async (settings: ProviderSettings, kms: KmsProviders): Promise<Provider> => {
  if (settings.aesgcm) return keyed('aesgcm', 'AES', settings.aesgcm.keys, gcmCipher);
  if (settings.aescbc) return keyed('aescbc', 'AES', settings.aescbc.keys, cbcCipher);
  if (settings.secretbox) return keyed('secretbox', 'Secretbox', settings.secretbox.keys, boxCipher);
  return settings.kms ? kms(settings.kms) : identity;
};

/** Throws the errors of those that a value could have been of; upstream's words where there is none. */
const refuse = (errors: readonly string[]): never => {
  throw new Error(errors.length > 1 ? `[${errors.join(', ')}]` : (errors[0] ?? 'no matching prefix found'));
};

/** Puts providers together; the first seals. */
export const transformerOf = (providers: readonly Provider[]): Transformer => {
  const [writing] = providers;
  const readsPlain = providers.includes(identity);
  const sealing = providers.filter((provider) => provider !== identity);
  const writes = writing === identity ? undefined : writing;
  return {
    get writer() {
      return writes ? (writes.first()?.name ?? 'unknown') : 'identity';
    },
    ready: () => writes?.ready?.(),
    seal: (context, plain) => {
      if (!writes) return plain;
      const key = writes.first();
      if (!key) throw new Error('no key to encrypt with');
      return key.cipher.seal(key.prefix, context, plain);
    },
    prepare: (value) => {
      for (const provider of sealing) {
        const waits = provider.prepare && startsWith(value, provider.prefix) ? provider.prepare(value) : undefined;
        if (waits) return waits;
      }
      return undefined;
    },
    open: (context, value) => {
      if (readsPlain && !isSealed(value)) return value;
      const errors: string[] = [];
      for (const provider of sealing) {
        if (!startsWith(value, provider.prefix)) continue;
        const key = provider.find(value);
        if (!key) {
          errors.push(provider.noKey);
          continue;
        }
        try {
          return key.cipher.open(context, value.subarray(key.prefix.byteLength));
        } catch (error) {
          errors.push(error instanceof Error ? error.message : String(error));
        }
      }
      return refuse([...new Set(errors)]);
    },
    keyOf: (value) => {
      if (!isSealed(value)) return 'identity';
      for (const provider of sealing) {
        if (!startsWith(value, provider.prefix)) continue;
        const name = provider.find(value)?.name ?? provider.nameOf?.(value);
        if (name) return name;
      }
      return 'unknown';
    },
  };
};

export const makeProviders = (settings: readonly ProviderSettings[], kms: KmsProviders): Promise<Provider[]> =>
  Promise.all(settings.map((one) => providerOf(one, kms)));
