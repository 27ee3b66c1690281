import { createRecency, oncePerState } from '../../../store/recent.ts';
import type { Replicas } from '../../../store/replica-port.ts';
import type { Stored } from '../../../store/store.ts';
import { type AwsAuth, readAwsAuth } from './aws-auth.ts';

const KEY = 'kube-system/aws-auth';

export interface AwsAuthMapOptions {
  replicas: Replicas;
  clock: { now(): number };
  /** May be this much older than the store where it does not push its changes; 1000 ms where absent. */
  staleMsMax?: number;
}

const parse = (stored: Stored): AwsAuth =>
  readAwsAuth((JSON.parse(Buffer.from(stored.bytes).toString()) as { data?: Record<string, string> }).data);

/** Finds what stands in a cluster's aws-auth; each state of it is read once. */
export const createAwsAuthMap = ({ replicas, clock, staleMsMax = 1000 }: AwsAuthMapOptions) => {
  const read = oncePerState(parse);
  const { isRecent, freshen } = createRecency(clock, staleMsMax);
  return async (cluster: string): Promise<AwsAuth | undefined> => {
    const replica = await replicas.of({ cluster, group: '', resource: 'configmaps' });
    if (!isRecent(replica)) await freshen(replica);
    const stored = replica.get(KEY);
    return stored && read(stored);
  };
};
