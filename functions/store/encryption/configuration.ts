import * as z from 'zod/mini';
import { durationMs, parseGroupResource } from './names.ts';

// The EncryptionConfiguration of apiserver.config.k8s.io/v1. Source: the page "Encrypting Confidential Data at Rest"; the
// messages are upstream's.

export interface EncryptionKey {
  name: string;
  /** Base64. */
  secret: string;
}
export interface KmsSettings {
  apiVersion?: string | undefined;
  name: string;
  /** `awskms:///{key ARN, alias or id}`. */
  endpoint: string;
  /** A Go duration; 3s where absent. */
  timeout?: string | undefined;
  cachesize?: number | undefined;
}
export interface ProviderSettings {
  aesgcm?: { keys: EncryptionKey[] } | undefined;
  aescbc?: { keys: EncryptionKey[] } | undefined;
  secretbox?: { keys: EncryptionKey[] } | undefined;
  identity?: Record<string, never> | null | undefined;
  kms?: KmsSettings | undefined;
}
export interface ResourceRule {
  /** `secrets`, `deployments.apps`, `*.` (the core group), `*.apps`, `*.*`. */
  resources: string[];
  /** The first one seals, all of them open. */
  providers: ProviderSettings[];
}
export interface EncryptionConfiguration {
  resources: ResourceRule[];
}

const keys = z.strictObject({
  keys: z._default(
    z.array(z.strictObject({ name: z._default(z.string(), ''), secret: z._default(z.string(), '') })),
    [],
  ),
});
const schema = z.strictObject({
  apiVersion: z.literal('apiserver.config.k8s.io/v1'),
  kind: z.literal('EncryptionConfiguration'),
  resources: z._default(
    z.array(
      z.strictObject({
        resources: z._default(z.array(z.string()), []),
        providers: z._default(
          z.array(
            z.strictObject({
              aesgcm: z.optional(keys),
              aescbc: z.optional(keys),
              secretbox: z.optional(keys),
              identity: z.optional(z.nullable(z.strictObject({}))),
              kms: z.optional(
                z.strictObject({
                  apiVersion: z.optional(z.string()),
                  name: z._default(z.string(), ''),
                  endpoint: z._default(z.string(), ''),
                  timeout: z.optional(z.string()),
                  cachesize: z.optional(z.number()),
                }),
              ),
            }),
          ),
          [],
        ),
      }),
    ),
    [],
  ),
});

const required = (path: string, detail: string): string => `${path}: Required value: ${detail}`;
const wrong = (path: string, value: unknown, detail: string): string =>
  `${path}: Invalid value: ${JSON.stringify(value)}: ${detail}`;
const atLeastOne = (what: string): string => `at least one ${what} is required`;

const overlaps = (path: string, resources: readonly string[]): string[] => {
  const all = resources.map(parseGroupResource);
  const pairs = all.flatMap((a, i) => all.flatMap((b, j) => (i === j ? [] : [[a, b] as const])));
  const same = pairs.some(([a, b]) => a.group === b.group && a.resource === b.resource);
  const masked = pairs.some(([a, b]) => {
    if (a.group === b.group && a.resource === b.resource) return false;
    if (a.group === '*' && a.resource === '*') return true;
    return a.group === b.group && (a.resource === '*' || b.resource === '*');
  });
  const why =
    "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked";
  return [
    ...(same ? [wrong(path, resources, 'the same resource cannot be specified multiple times')] : []),
    ...(masked ? [wrong(path, resources, why)] : []),
  ];
};

const NO_API = ['apiserveripinfo', 'serviceipallocations', 'servicenodeportallocations'];

const nameFault = (name: string): string | undefined => {
  const { group, resource } = parseGroupResource(name);
  if (name.toLowerCase() !== name) return 'resource name should not contain capital letters';
  if (name === '*') return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources";
  if (NO_API.includes(name)) return 'resources which do not have REST API/s cannot be encrypted';
  if (group === 'events.k8s.io')
    return "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file";
  if (group === 'extensions') return "'extensions' group has been removed and cannot be used for encryption";
  if (group === '*' && resource !== '*') return 'encrypting the same resource across groups is not supported';
  return undefined;
};

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const keyFaults = (path: string, { keys: given }: { keys: EncryptionKey[] }, sizes: readonly number[]): string[] => {
  if (given.length === 0) return [required(path, atLeastOne('keys'))];
  return given.flatMap(({ name, secret }, i) => {
    const at = `${path}[${i}]`;
    const faults = name ? [] : [required(`${at}.name`, 'name is a mandatory field for a key')];
    const hidden = (detail: string) => [...faults, wrong(`${at}.secret`, 'REDACTED', detail)];
    if (!secret) return [...faults, required(`${at}.secret`, 'secret is a mandatory field for a key')];
    if (!BASE64.test(secret)) return hidden('secrets must be base64 encoded');
    const size = Buffer.from(secret, 'base64').length;
    if (sizes.includes(size)) return faults;
    return hidden(`secret is not of the expected length, got ${size}, expected one of [${sizes.join(' ')}]`);
  });
};

const kmsFaults = (path: string, kms: KmsSettings, names: ReadonlySet<string>): string[] => {
  const { apiVersion = 'v1', name, endpoint, timeout = '3s', cachesize } = kms;
  const faults: string[] = [];
  if (!name) faults.push(required(`${path}.name`, 'name is a mandatory field for a provider'));
  if (apiVersion !== 'v1' && name.includes(':'))
    faults.push(wrong(`${path}.name`, name, `invalid KMS provider name ${name}, must not contain ':'`));
  if (names.has(name))
    faults.push(wrong(`${path}.name`, name, `duplicate KMS provider name ${name}, names must be unique`));
  if (!(durationMs(timeout) > 0)) faults.push(wrong(`${path}.timeout`, timeout, 'timeout should be a positive value'));
  if (!endpoint) faults.push(wrong(`${path}.endpoint`, '', 'endpoint is a mandatory field for a kms'));
  else if (!/^awskms:\/\/\/./.test(endpoint)) {
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(endpoint)?.[1] ?? '';
    const why = `unsupported scheme "${scheme}" for KMS provider, only awskms is supported`;
    faults.push(wrong(`${path}.endpoint`, endpoint, why));
  }
  if (apiVersion !== 'v1' && cachesize !== undefined)
    faults.push(wrong(`${path}.cachesize`, cachesize, 'cachesize is not supported in v2'));
  if (apiVersion !== 'v2') {
    const why = `unsupported apiVersion ${apiVersion} for KMS provider, only v2 is supported`;
    faults.push(wrong(`${path}.apiVersion`, apiVersion, why));
  }
  return faults;
};

const NO_PROVIDER = 'provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity';
const SEVERAL = 'more than one provider specified in a single element, should split into different list elements';

const providerFaults = (path: string, provider: ProviderSettings, names: Set<string>): string[] => {
  const given = (Object.keys(provider) as (keyof ProviderSettings)[]).filter((kind) => provider[kind] !== undefined);
  // The value is left out: it may hold keys.
  if (given.length === 0) return [wrong(path, {}, NO_PROVIDER)];
  if (given.length > 1) return [wrong(path, 'REDACTED', SEVERAL)];
  const { aesgcm, aescbc, secretbox, kms } = provider;
  if (aesgcm) return keyFaults(`${path}.aesgcm.keys`, aesgcm, [16, 24, 32]);
  if (aescbc) return keyFaults(`${path}.aescbc.keys`, aescbc, [16, 24, 32]);
  if (secretbox) return keyFaults(`${path}.secretbox.keys`, secretbox, [32]);
  if (!kms) return [];
  const faults = kmsFaults(`${path}.kms`, kms, names);
  names.add(kms.name);
  return faults;
};

/** Resources that an earlier entry's wildcard covers already: they would never be looked at. */
const maskedFault = (rules: readonly ResourceRule[]): string | undefined => {
  const shown = ({ group, resource }: { group: string; resource: string }) =>
    group || resource === '*' ? `${resource}.${group}` : resource;
  const wild: { group: string; resource: string }[] = [];
  for (const { resources } of rules) {
    for (const one of resources.map(parseGroupResource)) {
      const mask = wild.find((w) => w.group === '*' || w.group === one.group);
      if (mask) return `resource "${shown(one)}" is masked by earlier rule "${shown(mask)}"`;
    }
    wild.push(...resources.map(parseGroupResource).filter(({ resource }) => resource === '*'));
  }
  return undefined;
};

const faultsOf = (rules: readonly ResourceRule[]): string[] => {
  if (rules.length === 0) return [required('resources', atLeastOne('resources'))];
  const names = new Set<string>();
  const faults = rules.flatMap(({ resources, providers }, i) => {
    const [r, p] = [`resources[${i}].resources`, `resources[${i}].providers`];
    return [
      ...(resources.length === 0 ? [required(r, atLeastOne(r))] : []),
      ...overlaps(r, resources),
      ...resources.flatMap((name, j) => {
        const fault = nameFault(name);
        return fault ? [wrong(`${r}[${j}]`, name, fault)] : [];
      }),
      ...(providers.length === 0 ? [required(p, atLeastOne(p))] : []),
      ...providers.flatMap((provider, j) => providerFaults(`${p}[${j}]`, provider, names)),
    ];
  });
  const masked = faults.length === 0 ? maskedFault(rules) : undefined;
  return masked ? [`error while building transformers: ${masked}`] : faults;
};

/** Reads a document; throws an Error that names every field at fault, and no key. */
export const parseEncryptionConfiguration = (document: unknown): EncryptionConfiguration => {
  const { data, error } = schema.safeParse(document);
  if (!data) {
    const told = error.issues.map(({ path, message, ...rest }) => {
      const unknown = 'keys' in rest ? ` ${rest.keys.join(', ')}` : '';
      return `${path.join('.') || 'document'}: ${message}${unknown}`;
    });
    throw new Error(told.join('; '));
  }
  const faults = faultsOf(data.resources);
  if (faults.length > 1) throw new Error(`[${faults.join(', ')}]`);
  if (faults[0]) throw new Error(faults[0]);
  return { resources: data.resources };
};
