import type { Pod } from '../machinery/kinds.d.ts';
import type { ClusterChange } from './cluster-cache.ts';
import type { Snapshot } from './framework.ts';
import { mayHelp } from './hints.ts';
import { podInfoOf } from './pod-info.ts';
import type { Profile } from './profile.ts';

export interface Backoff {
  /** Milliseconds after the first failed attempt; doubled after each, up to the maximum. */
  initialMs: number;
  maximumMs: number;
}
/** A waiting pod is tried again after this long even if nothing seems to help it. */
const FLUSH_MS = 5 * 60_000;

interface Waiting {
  pod: Pod;
  attempts: number;
  /** Not tried again before. */
  notBefore: number;
  /** Tried again at the latest. */
  flushAt: number;
  refusedBy: ReadonlySet<string>;
  awake: boolean;
}

const sameWish = (a: Pod, b: Pod): boolean =>
  a === b ||
  (JSON.stringify(a.spec) === JSON.stringify(b.spec) &&
    JSON.stringify(a.metadata.labels) === JSON.stringify(b.metadata.labels));

/** Pods that could not be placed: who waits for what, and when to try again. Source: KEP-4247. */
export const createWaitingPods = (backoff: Backoff) => {
  const pods = new Map<string, Waiting>();
  return {
    /** Remembers a failed attempt; without filters (the API failed) the pod needs nothing but time. */
    failed(pod: Pod, refusedBy: ReadonlySet<string>, now: number): void {
      const uid = pod.metadata.uid ?? '';
      const attempts = (pods.get(uid)?.attempts ?? 0) + 1;
      const delay = Math.min(backoff.initialMs * 2 ** (attempts - 1), backoff.maximumMs);
      const awake = refusedBy.size === 0;
      pods.set(uid, { pod, attempts, notBefore: now + delay, flushAt: now + FLUSH_MS, refusedBy, awake });
    },
    done: (uid: string): void => void pods.delete(uid),
    /** Wakes the pods that a change may help. */
    wake(changes: readonly ClusterChange[], view: Snapshot, profileOf: (pod: Pod) => Profile | undefined): void {
      if (changes.length === 0) return;
      for (const waiting of pods.values()) {
        const profile = profileOf(waiting.pod);
        if (waiting.awake || !profile) continue;
        const info = podInfoOf(waiting.pod);
        waiting.awake = changes.some((change) => mayHelp(change, info, waiting.refusedBy, view, profile));
      }
    },
    /** Drops pods that are gone, and wakes those that changed what they ask for. */
    keep(pending: ReadonlyMap<string, Pod>): void {
      for (const [uid, waiting] of pods) {
        const pod = pending.get(uid);
        if (!pod) pods.delete(uid);
        else if (pod !== waiting.pod) {
          if (!sameWish(pod, waiting.pod)) waiting.awake = true;
          waiting.pod = pod;
        }
      }
    },
    isDue(uid: string, now: number): boolean {
      const waiting = pods.get(uid);
      if (!waiting) return true;
      return waiting.flushAt <= now || (waiting.awake && waiting.notBefore <= now);
    },
    /** When the next pod is due, in milliseconds since the epoch; undefined when none waits. */
    next(): number | undefined {
      let first: number | undefined;
      for (const w of pods.values()) {
        const at = w.awake ? w.notBefore : w.flushAt;
        if (first === undefined || at < first) first = at;
      }
      return first;
    },
  };
};
