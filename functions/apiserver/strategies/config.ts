// ConfigMaps and Secrets.
import type { ConfigMap, Secret } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, immutable, invalidEach, same } from './checks.ts';
import { configMapKey } from './names.ts';

/** Data of one object in bytes, keys left out; 1 MiB as upstream. */
const BYTES_MAX = 1024 * 1024;
const decodedSize = (base64: string): number => {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  return Math.floor((base64.length * 3) / 4) - padding;
};

const validateConfigMap = (object: KubeObject): Causes => {
  const out: Causes = [];
  const map = object as ConfigMap;
  let size = 0;
  for (const key in map.data) {
    invalidEach(out, at('data', key), key, configMapKey(key));
    if (map.binaryData?.[key] !== undefined) {
      out.push(cause.invalid(at('data', key), key, 'duplicate of key present in binaryData'));
    }
    size += Buffer.byteLength(map.data[key] ?? '');
  }
  for (const key in map.binaryData) {
    invalidEach(out, at('binaryData', key), key, configMapKey(key));
    size += decodedSize(map.binaryData[key] ?? '');
  }
  // The path of the object itself, as upstream prints it.
  if (size > BYTES_MAX) out.push(cause.tooLong('[]', BYTES_MAX));
  return out;
};

/** Keys that a secret of a type may not lack; of basic-auth one of two is enough. */
const REQUIRED_KEYS: Record<string, string[]> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};
const ACCOUNT = 'kubernetes.io/service-account.name';

const checkDockerConfig = (out: Causes, path: string, base64: string): void => {
  try {
    JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
  } catch (error) {
    out.push(cause.invalid(path, '<secret contents redacted>', error instanceof Error ? error.message : 'not JSON'));
  }
};

const validateSecret = (object: KubeObject): Causes => {
  const out: Causes = [];
  const secret = object as Secret;
  const data = secret.data ?? {};
  let size = 0;
  for (const key in data) {
    invalidEach(out, at('data', key), key, configMapKey(key));
    size += decodedSize(data[key] ?? '');
  }
  if (size > BYTES_MAX) out.push(cause.tooLong('data', BYTES_MAX));
  const type = secret.type ?? '';
  if (type === 'kubernetes.io/service-account-token' && !secret.metadata.annotations?.[ACCOUNT]) {
    out.push(cause.required(at('metadata.annotations', ACCOUNT)));
  }
  if (type === 'kubernetes.io/basic-auth' && data.username === undefined && data.password === undefined) {
    out.push(cause.required('data[username]'), cause.required('data[password]'));
  }
  for (const key of REQUIRED_KEYS[type] ?? []) {
    const path = at('data', key);
    const value = data[key];
    const empty = value === undefined || (type === 'kubernetes.io/ssh-auth' && value === '');
    if (empty) out.push(cause.required(path));
    else if (key.startsWith('.docker')) checkDockerConfig(out, path, value);
  }
  return out;
};

type Frozen = Pick<ConfigMap, 'data' | 'binaryData' | 'immutable'>;
/** An immutable object keeps its data, and stays immutable. */
const checkFrozen = (out: Causes, next: Frozen, old: Frozen, fields: readonly ('data' | 'binaryData')[]): void => {
  if (!old.immutable) return;
  const detail = 'field is immutable when `immutable` is set';
  if (!next.immutable) out.push(cause.forbidden('immutable', detail));
  for (const field of fields) if (!same(next[field], old[field])) out.push(cause.forbidden(field, detail));
};

const mergeStringData = (object: KubeObject): void => {
  const secret = object as Secret;
  if (!secret.stringData) return;
  const data: Record<string, string> = { ...secret.data };
  for (const key in secret.stringData) {
    data[key] = Buffer.from(secret.stringData[key] ?? '', 'utf8').toString('base64');
  }
  delete secret.stringData;
  if (Object.keys(data).length > 0) secret.data = data;
};

/** stringData is written over data when a secret is decoded; it is never stored. */
export const secretDefaults = mergeStringData;

/** Strategies by `group/Kind`. */
export const configStrategies: Readonly<Record<string, Strategy>> = {
  '/ConfigMap': {
    validate: validateConfigMap,
    validateUpdate: (next, old) => {
      const out: Causes = [];
      checkFrozen(out, next as ConfigMap, old as ConfigMap, ['data', 'binaryData']);
      return out;
    },
  },
  '/Secret': {
    prepareForUpdate: (next, old) => {
      const secret = next as Secret;
      // A secret sent without a type keeps the one it has.
      if (!secret.type && (old as Secret).type) secret.type = (old as Secret).type as string;
    },
    validate: validateSecret,
    validateUpdate: (nextObject, oldObject) => {
      const out: Causes = [];
      const next = nextObject as Secret;
      const old = oldObject as Secret;
      immutable(out, 'type', next.type, old.type);
      checkFrozen(out, next, old, ['data']);
      return out;
    },
  },
  '/ServiceAccount': {},
};
