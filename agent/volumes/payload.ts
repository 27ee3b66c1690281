import type { ConfigMap, Pod, Secret, Volume } from '../../functions/machinery/kinds.d.ts';
import { type DownwardFacts, fieldValue, resourceFieldValue } from '../downward.ts';
import type { Payload } from './atomic-writer.ts';

/** Where the contents come from. */
export interface PayloadSources extends DownwardFacts {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
  /** A bound token of the pod's service account, renewed by the caller's cache at 80 % of its life. */
  token(pod: Pod, audience: string, expirationSeconds: number): Promise<string>;
  allocatable: Record<string, string>;
}

type Items = { key: string; path: string; mode?: number }[] | undefined;
interface Options {
  items: Items;
  mode: number;
  optional: boolean;
}

const pick = (data: Record<string, Uint8Array>, what: string, options: Options): Payload => {
  const out: Payload = new Map();
  if (!options.items?.length) {
    for (const [key, bytes] of Object.entries(data)) out.set(key, { data: bytes, mode: options.mode });
    return out;
  }
  for (const { key, path, mode } of options.items) {
    const bytes = data[key];
    if (bytes) out.set(path, { data: bytes, mode: mode ?? options.mode });
    else if (!options.optional) throw new Error(`${what} references non-existent config key: ${key}`);
  }
  return out;
};

const configMapFiles = async (
  ns: string,
  name: string,
  sources: PayloadSources,
  options: Options,
): Promise<Payload> => {
  const found = await sources.configMap(ns, name);
  if (!found && !options.optional) throw new Error(`configmap "${name}" not found`);
  const data: Record<string, Uint8Array> = {};
  for (const [key, text] of Object.entries(found?.data ?? {})) data[key] = Buffer.from(text);
  for (const [key, text] of Object.entries(found?.binaryData ?? {})) data[key] = Buffer.from(text, 'base64');
  return found ? pick(data, 'configmap', options) : new Map();
};

const secretFiles = async (ns: string, name: string, sources: PayloadSources, options: Options): Promise<Payload> => {
  const found = await sources.secret(ns, name);
  if (!found && !options.optional) throw new Error(`secret "${name}" not found`);
  const data: Record<string, Uint8Array> = {};
  for (const [key, text] of Object.entries(found?.data ?? {})) data[key] = Buffer.from(text, 'base64');
  return found ? pick(data, 'secret', options) : new Map();
};

type DownwardItems = NonNullable<NonNullable<Volume['downwardAPI']>['items']>;

const downwardFiles = (pod: Pod, items: DownwardItems, mode: number, sources: PayloadSources): Payload => {
  const out: Payload = new Map();
  for (const item of items) {
    const name = item.resourceFieldRef?.containerName;
    const container = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find(
      (c) => c.name === name,
    );
    const text = item.fieldRef
      ? fieldValue(pod, item.fieldRef.fieldPath, sources)
      : item.resourceFieldRef && container
        ? resourceFieldValue(container, item.resourceFieldRef, sources.allocatable)
        : '';
    out.set(item.path, { data: Buffer.from(text), mode: item.mode ?? mode });
  }
  return out;
};

/** The user that all containers of a pod are told to run as; undefined when one is told none, or another. */
const userOf = ({ spec }: Pod): number | undefined => {
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])];
  const users = new Set(all.map((one) => one.securityContext?.runAsUser ?? spec?.securityContext?.runAsUser));
  const [user] = users;
  return users.size === 1 ? user : undefined;
};

/** A token is its owner's alone where that is known; fsGroup adds its group when the file is written (KEP-1205). */
const tokenFile = (pod: Pod, token: string, defaultMode: number): { data: Uint8Array; mode: number; uid?: number } => {
  const uid = userOf(pod);
  const closed = uid !== undefined || pod.spec?.securityContext?.fsGroup !== undefined;
  return { data: Buffer.from(token), mode: closed ? 0o600 : defaultMode, ...(uid !== undefined && { uid }) };
};

const projectedFiles = async (
  pod: Pod,
  volume: NonNullable<Volume['projected']>,
  sources: PayloadSources,
): Promise<Payload> => {
  const ns = pod.metadata.namespace ?? '';
  const mode = volume.defaultMode ?? 0o644;
  const out: Payload = new Map();
  const add = (files: Payload) => {
    for (const [path, file] of files) out.set(path, file);
  };
  for (const source of volume.sources ?? []) {
    const { configMap, secret, downwardAPI, serviceAccountToken } = source;
    if (configMap) {
      add(
        await configMapFiles(ns, configMap.name ?? '', sources, {
          items: configMap.items,
          mode,
          optional: configMap.optional ?? false,
        }),
      );
    }
    if (secret)
      add(
        await secretFiles(ns, secret.name ?? '', sources, {
          items: secret.items,
          mode,
          optional: secret.optional ?? false,
        }),
      );
    if (downwardAPI) add(downwardFiles(pod, downwardAPI.items ?? [], mode, sources));
    if (serviceAccountToken) {
      const token = await sources.token(
        pod,
        serviceAccountToken.audience ?? '',
        serviceAccountToken.expirationSeconds ?? 3600,
      );
      out.set(serviceAccountToken.path, tokenFile(pod, token, mode));
    }
  }
  return out;
};

/** The files of a configMap, secret, downwardAPI or projected volume; undefined for any other kind. Throws what is missing. */
export const volumePayload = async (
  pod: Pod,
  volume: Volume,
  sources: PayloadSources,
): Promise<Payload | undefined> => {
  const ns = pod.metadata.namespace ?? '';
  if (volume.configMap) {
    const { name = '', items, defaultMode = 0o644, optional = false } = volume.configMap;
    return configMapFiles(ns, name, sources, { items, mode: defaultMode, optional });
  }
  if (volume.secret) {
    const { secretName = '', items, defaultMode = 0o644, optional = false } = volume.secret;
    return secretFiles(ns, secretName, sources, { items, mode: defaultMode, optional });
  }
  if (volume.downwardAPI) {
    return downwardFiles(pod, volume.downwardAPI.items ?? [], volume.downwardAPI.defaultMode ?? 0o644, sources);
  }
  return volume.projected ? projectedFiles(pod, volume.projected, sources) : undefined;
};
