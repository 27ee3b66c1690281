import type { Pod } from '../functions/machinery/kinds.d.ts';
import type { Setback } from './observed.ts';
import { type Grant, grantedPod, type PendingResize } from './resize.ts';

/** What the pod manager keeps of one pod: all of it can be had again from the API and the runtime. */
export interface Worker {
  pod: Pod;
  gone: boolean;
  cleaned: boolean;
  admitted: boolean;
  /** Whether it is admitted is being asked. */
  admitting: boolean;
  refused?: { reason: string; message: string };
  volumesReady: boolean;
  setbacks: Map<string, Setback>;
  failures: Map<string, number>;
  busy: Set<string>;
  messages: Map<string, string>;
  /** What the node gave it of cpu and memory, and for which generation that was last looked at. */
  grant?: Grant;
  lookedAt?: number;
  pendingResize?: PendingResize;
  resized: Map<string, string>;
  restarting: Set<string>;
  queued: boolean;
  writing: boolean;
  owedSince?: number;
  cancelTimer?: () => void;
  timerAt?: number;
}

export const newWorker = (pod: Pod): Worker => ({
  pod,
  gone: false,
  cleaned: false,
  admitted: false,
  admitting: false,
  volumesReady: false,
  setbacks: new Map(),
  failures: new Map(),
  busy: new Set(),
  messages: new Map(),
  resized: new Map(),
  restarting: new Set(),
  queued: false,
  writing: false,
});

/** The pod as the node granted it. */
export const granted = (w: Worker): Pod => grantedPod(w.pod, w.grant);
