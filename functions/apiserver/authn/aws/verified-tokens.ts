import { hash } from 'node:crypto';
import { serviceUnavailable, tooManyRequests } from '../../../machinery/status.ts';
import type { CallerIdentity } from './caller-identity.ts';
import { checkToken, type PresignedToken, type StsPlaces } from './presigned-token.ts';
import type { Sts, StsAnswer } from './sts-request.ts';

/** How long what STS said counts, at most, in milliseconds: a token lives for up to 15 minutes. */
const KNOWN_MS = 60_000;
const REFUSED_MS = 10_000;
/** Kept for each cluster; the oldest go first. */
const TOKENS_MAX = 1_000;
const CLUSTERS_MAX = 1_000;
/** Questions of one cluster on their way at once, and begun within a second. */
const ASKING_MAX = 16;
const PER_SECOND_MAX = 50;

interface Known {
  identity: CallerIdentity | undefined;
  /** Milliseconds since the epoch. */
  until: number;
}

/** What one cluster was told, and asks. Nothing of it is shared, so that no cluster waits for another's callers. */
interface Cluster {
  clusterId: string;
  known: Map<string, Known>;
  asking: Map<string, Promise<CallerIdentity | undefined>>;
  /** Questions begun in the second that `since` begins. */
  begun: number;
  since: number;
}

export interface VerifiedTokensOptions {
  sts: Sts;
  /** Where tokens may lead. */
  places: StsPlaces;
  clock: { now(): number };
  /** Told of answers that are no verdict, without the token. */
  onFailure?(cluster: string, why: string): void;
}

export interface VerifiedTokens {
  /**
   * Who signed a token; undefined where it is not well formed, or STS does not say. Rejects with a 429 Status where a
   * cluster asks too much, and with 503 where STS does not answer. `explain` is told what is wrong with the token.
   */
  identityOf(
    cluster: string,
    clusterId: string,
    token: string,
    explain?: (fault: string) => void,
  ): Promise<CallerIdentity | undefined>;
}

const tooMany = () => tooManyRequests('too many AWS identities are being looked up, please try again later', 1);

/** Judges tokens and asks STS about them, once for many requests that bring the same one, and remembers what it said for a minute. */
export const createVerifiedTokens = ({ sts, places, clock, onFailure }: VerifiedTokensOptions): VerifiedTokens => {
  const clusters = new Map<string, Cluster>();

  const clusterOf = (name: string, clusterId: string): Cluster => {
    const found = clusters.get(name);
    // Another id is another cluster: what was signed for the old one does not count.
    if (found?.clusterId === clusterId) return found;
    const made: Cluster = { clusterId, known: new Map(), asking: new Map(), begun: 0, since: 0 };
    clusters.delete(name);
    clusters.set(name, made);
    for (const oldest of clusters.keys()) {
      if (clusters.size <= CLUSTERS_MAX) break;
      clusters.delete(oldest);
    }
    return made;
  };
  const admit = (cluster: Cluster): void => {
    const now = clock.now();
    if (now - cluster.since >= 1_000) {
      cluster.since = now;
      cluster.begun = 0;
    }
    if (cluster.asking.size >= ASKING_MAX || cluster.begun >= PER_SECOND_MAX) throw tooMany();
    cluster.begun++;
  };
  const remember = ({ known }: Cluster, id: string, found: Known): void => {
    known.delete(id);
    known.set(id, found);
    for (const oldest of known.keys()) {
      if (known.size <= TOKENS_MAX) break;
      known.delete(oldest);
    }
  };
  const learn = (name: string, cluster: Cluster, id: string, presigned: PresignedToken, answer: StsAnswer) => {
    const now = clock.now();
    if ('identity' in answer) {
      const { identity } = answer;
      // A stand-in has no partition; AWS' own tell of theirs alone.
      const foreign = presigned.partition !== undefined && presigned.partition !== identity.principal.partition;
      const until = Math.min(presigned.expiresAt, now + (foreign ? REFUSED_MS : KNOWN_MS));
      remember(cluster, id, { identity: foreign ? undefined : identity, until });
      return foreign ? undefined : identity;
    }
    if (answer.failure === 'refused') {
      remember(cluster, id, { identity: undefined, until: now + REFUSED_MS });
      return undefined;
    }
    onFailure?.(name, `AWS STS at ${presigned.origin}: ${answer.why}`);
    throw answer.failure === 'busy' ? tooMany() : serviceUnavailable('AWS STS does not answer');
  };

  return {
    identityOf: async (name, clusterId, token, explain) => {
      const cluster = clusterOf(name, clusterId);
      const id = hash('sha256', token, 'base64');
      const known = cluster.known.get(id);
      if (known && clock.now() < known.until) return known.identity;
      const running = cluster.asking.get(id);
      if (running) return running;
      const checked = checkToken(token, places, clock.now());
      if ('refused' in checked) {
        explain?.(checked.refused);
        return undefined;
      }
      const { presigned } = checked;
      admit(cluster);
      const asked = sts
        .ask(presigned, clusterId)
        .then((answer) => learn(name, cluster, id, presigned, answer))
        .finally(() => cluster.asking.delete(id));
      cluster.asking.set(id, asked);
      return asked;
    },
  };
};
