import type { Replica, Replicas } from '../../../store/replica-port.ts';
import type { Stored } from '../../../store/store.ts';
import { type AwsAuth, readAwsAuth } from './aws-auth.ts';

const KEY = 'kube-system/aws-auth';

export interface AwsAuthMapOptions {
  replicas: Replicas;
  clock: { now(): number };
  /** May be this much older than the store where it does not push its changes; 1000 ms where absent. */
  staleMsMax?: number;
}

/** Finds what stands in a cluster's aws-auth; each state of it is read once. */
export const createAwsAuthMap = ({ replicas, clock, staleMsMax = 1000 }: AwsAuthMapOptions) => {
  const read = new WeakMap<Stored, AwsAuth>();
  const freshAt = new WeakMap<Replica, number>();
  return async (cluster: string): Promise<AwsAuth | undefined> => {
    const replica = await replicas.of({ cluster, group: '', resource: 'configmaps' });
    const now = clock.now();
    if (now - (freshAt.get(replica) ?? Number.NEGATIVE_INFINITY) > staleMsMax) {
      await replica.fresh();
      freshAt.set(replica, now);
    }
    const stored = replica.get(KEY);
    if (!stored) return undefined;
    let auth = read.get(stored);
    if (!auth) {
      auth = readAwsAuth((JSON.parse(Buffer.from(stored.bytes).toString()) as { data?: Record<string, string> }).data);
      read.set(stored, auth);
    }
    return auth;
  };
};
