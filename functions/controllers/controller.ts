import type { Reader } from '../client/reader.ts';
import type { GroupResource, GroupVersionResource, KubeObject, ObjectKey } from '../machinery/object.ts';
import type { Status } from '../machinery/status.ts';

/** Milliseconds since the epoch, given by the runner's clock: decide() reads no other. */
export type Instant = number;

/** What a watch is told: `previous` is what the change replaced, where it is known. */
export interface WatchedChange {
  resource: GroupResource;
  object: KubeObject;
  previous?: KubeObject;
  /** uids of the owners that it had before, where that is known: also where `previous` is not. */
  previousOwners?: readonly string[];
  deleted: boolean;
}

/**
 * Which changes of which resource map to which keys of this controller. Keys that are not in the object itself (the
 * services that select a pod) are looked up in the reader. `{ group: '*', resource: '*' }` watches every resource type.
 */
export interface Watch {
  resource: GroupResource;
  keys(change: WatchedChange, read: Reader): string[] | Promise<string[]>;
}

/**
 * One reconciler. The key says only *look here*; messages may come twice, late or out of order, and a second run of the
 * same key changes nothing. decide() is pure: same observed and now, same plan.
 */
export interface Controller<Observed> {
  name: string;
  /** `source.component` of its events; `NAME-controller` where absent. */
  component?: string;
  watches: Watch[];
  /** Reads everything decide() needs; undefined when there is nothing to do for this key. */
  observe(read: Reader, key: ObjectKey): Promise<Observed | undefined>;
  decide(observed: Observed, now: Instant): Plan;
}

export interface Plan {
  writes: PlannedWrite[];
  events?: EventDraft[];
  /** Look again after this long, even if nothing changes. */
  again?: { afterMs: number };
  /** What to write when the API refused some of the writes (quota, admission, invalid); the key is retried with back-off. */
  refused?: (failures: readonly Refusal[]) => PlannedWrite[];
}

export interface Refusal {
  write: PlannedWrite;
  status: Status;
}

/**
 * Every write says what it believed; a lost race drops the rest of the plan and requeues the key. Neighbours of the same
 * operation and resource type are independent and run side by side; anything else runs in order.
 */
export type PlannedWrite = WriteOperation & {
  /** The event to record once the write is done, told what the API answered. Pure. */
  done?: (result: KubeObject) => EventDraft | undefined;
  /** The event to record when the API refuses the write. Pure. */
  failed?: (status: Status) => EventDraft | undefined;
};

export type WriteOperation =
  | { op: 'create'; resource: GroupVersionResource; object: KubeObject; onExists?: 'ignore' | 'conflict' }
  | {
      op: 'update';
      resource: GroupVersionResource;
      /** Its resourceVersion is the precondition. */
      object: KubeObject;
      subresource?: 'status' | 'finalize' | 'approval';
    }
  | {
      op: 'patch';
      resource: GroupVersionResource;
      target: ObjectKey;
      /** JSON merge patch; the runner adds uid (and resourceVersion where given) as preconditions. */
      merge: Record<string, unknown>;
      expects: { uid: string; resourceVersion?: string };
      subresource?: 'status' | 'scale';
    }
  | {
      op: 'delete';
      resource: GroupVersionResource;
      target: ObjectKey;
      expects: { uid: string; resourceVersion?: string };
      propagation?: 'Orphan' | 'Background' | 'Foreground';
      gracePeriodSeconds?: number;
    };

/** An events.k8s.io-style note about an object; the runner aggregates and rate-limits them. */
export interface EventDraft {
  regarding: KubeObject;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
}
