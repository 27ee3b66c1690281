import type { Domain } from '../store.ts';
import type { EncryptionConfiguration, EncryptionKey, KmsSettings, ProviderSettings } from './configuration.ts';
import { type KmsProviders, makeProviders, type Provider, type Transformer, transformerOf } from './transformer.ts';

/** What lies encrypted, and how. */
export interface Encryption {
  /** Undefined for domains whose values lie plain and always did. */
  ruleOf(domain: Domain): Transformer | undefined;
  /** What seals which resources, as text: what was written while it was the same needs no rewriting. */
  readonly writers: string;
  /** Fetches what seals. Rejects where it is not to be had. */
  ready(): Promise<void>;
}

export interface EncryptionOptions {
  /** An operator's document; `secrets` alone are encrypted, under `own`, where there is none. */
  configuration?: EncryptionConfiguration | undefined;
  /** The keys of the deployment itself, newest first: they seal its own secrets, and open what they sealed before. */
  own?: { local: readonly EncryptionKey[] } | { kms: KmsSettings } | undefined;
  /** Resources that other configurations encrypted before, as a document names them: they stay readable. */
  earlier?: readonly string[];
  kms?: KmsProviders;
}

const OWN_GROUP = 'skiff.dev';
const noKms: KmsProviders = () => {
  throw new Error('a kms provider needs a control plane that reaches KMS');
};

const settingsOf = (own: EncryptionOptions['own']): ProviderSettings[] => {
  if (!own) return [];
  return 'kms' in own ? [{ kms: own.kms }] : [{ aesgcm: { keys: [...own.local] } }];
};

/** Transformers by group and resource, without a string made for each look. */
const createIndex = (ruleFor: (group: string, resource: string) => Transformer | undefined) => {
  const groups = new Map<string, Map<string, Transformer | undefined>>();
  return ({ group, resource }: Domain): Transformer | undefined => {
    let resources = groups.get(group);
    if (!resources) {
      resources = new Map();
      groups.set(group, resources);
    }
    const known = resources.get(resource);
    if (known || resources.has(resource)) return known;
    const rule = ruleFor(group, resource);
    resources.set(resource, rule);
    return rule;
  };
};

/** Makes what a configuration says. Rejects where a key cannot be used. */
export const createEncryption = async (options: EncryptionOptions): Promise<Encryption> => {
  const { configuration, kms = noKms, earlier = [] } = options;
  const own = await makeProviders(settingsOf(options.own), kms);
  const [identity] = await makeProviders([{ identity: {} }], kms);
  if (!identity) throw new Error('no identity provider');
  const byResource = new Map<string, Provider[]>();
  if (configuration) {
    for (const { resources, providers } of configuration.resources) {
      const made = await makeProviders(providers, kms);
      for (const resource of resources) byResource.set(resource, [...(byResource.get(resource) ?? []), ...made]);
    }
  } else if (own.length > 0) byResource.set('secrets', [...own, identity]);

  const transformers = new Map<string, Transformer>();
  for (const [resource, providers] of byResource)
    transformers.set(resource, transformerOf([...providers, ...own.filter((one) => !providers.includes(one))]));
  const nameOf = (group: string, resource: string) => (group ? `${resource}.${group}` : resource);
  const configured = (group: string, resource: string): Transformer | undefined =>
    transformers.get(nameOf(group, resource)) ?? transformers.get(`*.${group}`) ?? transformers.get('*.*');
  const readers = transformerOf([identity, ...own]);
  const readable = new Set(own.length > 0 ? ['secrets', ...earlier] : earlier);
  const wasSealed = (group: string, resource: string): boolean =>
    readable.has(nameOf(group, resource)) || readable.has(`*.${group}`) || readable.has('*.*');
  /** The deployment's own secrets lie under its own keys; its other records are none. */
  const ownKeys = own.length > 0 ? transformerOf([...own, identity]) : configured('', 'secrets');
  const ruleOf = createIndex((group, resource) => {
    if (group === OWN_GROUP && resource !== 'clusters') return resource === 'keys' ? ownKeys : undefined;
    return configured(group, resource) ?? (wasSealed(group, resource) ? readers : undefined);
  });
  return {
    ruleOf,
    ready: async () => {
      for (const rule of [...transformers.values(), ...(ownKeys ? [ownKeys] : [])]) await rule.ready();
    },
    get writers() {
      const all = [...transformers].map(([resource, { writer }]) => `${resource}=${writer}`);
      return [...all, `keys=${ownKeys?.writer ?? 'identity'}`].sort().join(' ');
    },
  };
};

export const resourcesOf = (configuration: EncryptionConfiguration | undefined): string[] => [
  ...new Set(configuration?.resources.flatMap(({ resources }) => resources) ?? ['secrets']),
];
