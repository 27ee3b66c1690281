import { createRecency, oncePerState } from '../../store/recent.ts';
import type { Replicas } from '../../store/replica-port.ts';
import type { Stored } from '../../store/store.ts';
import type { TokenClaims } from './service-account-tokens.ts';

/** Whether what a token is bound to still exists. */
export interface BoundObjects {
  /** The service account, and the pod, secret or node of the claims, are there with the uids that the claims name. */
  allExist(cluster: string, claims: TokenClaims): Promise<boolean>;
  nodeExists(cluster: string, name: string, uid: string): Promise<boolean>;
}

export interface BoundObjectsOptions {
  replicas: Replicas;
  clock: { now(): number };
  /** A deleted object may count for so long where the store does not push its changes; 1000 ms when absent. */
  staleMsMax?: number;
}

/** An object that is being deleted counts for so long after its deletionTimestamp, so that a pod can end in order. */
const LEEWAY_MS = 60_000;

/** KEP-2799: an operator, or whoever cleans up, marks the token of a secret invalid by this label, and can take it back. */
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';
const TOKEN_SECRET = 'kubernetes.io/service-account-token';

interface Identity {
  uid: string;
  /** A token's own secret that says so. */
  invalid: boolean;
  /** Milliseconds since the epoch; Infinity while nobody deletes it. */
  deletedAt: number;
}

const resources: Record<string, { resource: string; namespaced: boolean }> = {
  ServiceAccount: { resource: 'serviceaccounts', namespaced: true },
  Pod: { resource: 'pods', namespaced: true },
  Secret: { resource: 'secrets', namespaced: true },
  Node: { resource: 'nodes', namespaced: false },
};

const readIdentity = (stored: Stored): Identity => {
  const { metadata, type } = JSON.parse(Buffer.from(stored.bytes).toString());
  const deletedAt = metadata.deletionTimestamp ? Date.parse(metadata.deletionTimestamp) : Number.POSITIVE_INFINITY;
  const invalid = type === TOKEN_SECRET && Boolean(metadata.labels?.[INVALID_SINCE]);
  return { uid: metadata.uid, deletedAt, invalid };
};

/** Looks objects up in replicas; decodes each stored revision once. */
export const createBoundObjects = ({ replicas, clock, staleMsMax = 1000 }: BoundObjectsOptions): BoundObjects => {
  const identityOf = oncePerState(readIdentity);
  const { isRecent, freshen } = createRecency(clock, staleMsMax);

  const exists = async (cluster: string, kind: string, namespace: string, name: string, uid: string) => {
    const known = resources[kind];
    if (!known) return false;
    const replica = await replicas.of({ cluster, group: '', resource: known.resource });
    const key = known.namespaced ? `${namespace}/${name}` : name;
    const now = clock.now();
    if (!replica.get(key) || !isRecent(replica)) await freshen(replica);
    const stored = replica.get(key);
    if (!stored) return false;
    const identity = identityOf(stored);
    return identity.uid === uid && !identity.invalid && identity.deletedAt + LEEWAY_MS > now;
  };

  return {
    nodeExists: (cluster, name, uid) => exists(cluster, 'Node', '', name, uid),
    allExist: async (cluster, { namespace, serviceAccount, bound }) =>
      (await exists(cluster, 'ServiceAccount', namespace, serviceAccount.name, serviceAccount.uid)) &&
      (!bound || (await exists(cluster, bound.kind, namespace, bound.name, bound.uid))),
  };
};
