import type { Node, Pod } from '../machinery/kinds.d.ts';
import { keyOf } from '../machinery/object.ts';
import type { NodeInfo, PodInfo, Snapshot } from './framework.ts';
import { podInfoOf } from './pod-info.ts';
import { emptyNode, emptySnapshot, isFinished, place, putNode, removeNode, unplace } from './snapshot.ts';

/** All pods, or what became of them since the last look; `gone` as `namespace/name`. */
export type PodsSeen =
  | { type: 'all'; items: readonly Pod[] }
  | { type: 'changes'; put: readonly Pod[]; gone: readonly string[] };

/** What happened since the last look that may let a waiting pod in. */
export type ClusterChange =
  | { type: 'pod came'; pod: PodInfo; node: string }
  | { type: 'pod left'; pod: PodInfo; node: string }
  | { type: 'node came' | 'node changed'; node: NodeInfo }
  | { type: 'node left' }
  | { type: 'objects changed' };

interface Entry {
  info: PodInfo;
  /** Of the pod as it was seen. */
  resourceVersion: string | undefined;
  node: string;
  /** A decision of this process, not seen in the pod yet; it falls at this time. */
  assumedUntil: number | undefined;
  round: number;
}

/** What filters read of a node: heartbeats change none of it. */
export const nodeShape = (node: Node): string =>
  JSON.stringify([node.spec?.taints, node.spec?.unschedulable, node.status?.allocatable, node.metadata.labels]);
const sameShape = (a: Node, b: Node): boolean =>
  a.metadata.resourceVersion !== undefined && a.metadata.resourceVersion === b.metadata.resourceVersion
    ? true
    : nodeShape(a) === nodeShape(b);

/** The same state as at the last look: by its resourceVersion, or the same object where it has none. */
const sameState = (entry: Entry, pod: Pod): boolean =>
  entry.resourceVersion === undefined ? entry.info.pod === pod : entry.resourceVersion === pod.metadata.resourceVersion;

/** A pod on a node without what no filter reads: thousands of them are held. */
const slim = (pod: Pod): Pod => {
  if (!pod.metadata.managedFields) return pod;
  const { managedFields: _managed, ...metadata } = pod.metadata;
  return { ...pod, metadata };
};

/** A snapshot that follows the cluster: each look costs what changed, and a comparison for what did not. */
export const createClusterCache = () => {
  const snapshot: Snapshot = emptySnapshot();
  const entries = new Map<string, Entry>();
  /** uids by `namespace/name`. */
  const names = new Map<string, string>();
  const assumptions = new Set<string>();
  const nodes = new Map<string, { node: Node; round: number }>();
  let round = 0;
  let changes: ClusterChange[] = [];

  const put = (uid: string, entry: Entry): void => {
    entries.set(uid, entry);
    names.set(keyOf(entry.info.namespace, entry.info.pod.metadata.name ?? ''), uid);
    if (entry.assumedUntil === undefined) assumptions.delete(uid);
    else assumptions.add(uid);
    const node = snapshot.byName.get(entry.node);
    if (node) place(node, entry.info);
  };
  const drop = (uid: string, entry: Entry): void => {
    entries.delete(uid);
    assumptions.delete(uid);
    const name = keyOf(entry.info.namespace, entry.info.pod.metadata.name ?? '');
    if (names.get(name) === uid) names.delete(name);
    const node = snapshot.byName.get(entry.node);
    if (node) unplace(node, entry.info);
  };

  const lookAtNodes = (listed: readonly Node[]): void => {
    for (const node of listed) {
      const name = node.metadata.name ?? '';
      const known = nodes.get(name);
      if (node.metadata.deletionTimestamp) continue;
      nodes.set(name, { node, round });
      if (known?.node === node) continue;
      const info = putNode(snapshot, node);
      if (!known) {
        for (const entry of entries.values()) if (entry.node === name) place(info, entry.info);
        changes.push({ type: 'node came', node: emptyNode(node) });
      } else if (!sameShape(known.node, node)) changes.push({ type: 'node changed', node: emptyNode(node) });
    }
    for (const [name, known] of nodes) {
      if (known.round === round) continue;
      nodes.delete(name);
      removeNode(snapshot, name);
      changes.push({ type: 'node left' });
    }
  };

  /** A pod that stays may still matter: other labels, or less asked for. */
  const note = (before: PodInfo, after: PodInfo, node: string): void => {
    const { labels } = before;
    if (labels !== after.labels && JSON.stringify(labels) !== JSON.stringify(after.labels)) {
      changes.push({ type: 'pod came', pod: after, node });
    }
    if (before.wanted.some(([name, n]) => (after.requests[name] ?? 0) < n)) {
      changes.push({ type: 'pod left', pod: before, node });
    }
  };

  const leave = (uid: string, entry: Entry): void => {
    drop(uid, entry);
    changes.push({ type: 'pod left', pod: entry.info, node: entry.node });
  };

  const lookAtPod = (pod: Pod, now: number): void => {
    const uid = pod.metadata.uid ?? '';
    const entry = entries.get(uid);
    const namesake = entry ? undefined : names.get(keyOf(pod.metadata.namespace ?? '', pod.metadata.name ?? ''));
    const other = namesake === undefined ? undefined : entries.get(namesake);
    if (namesake !== undefined && other) leave(namesake, other);
    const node = isFinished(pod) ? '' : (pod.spec?.nodeName ?? '');
    if (entry) {
      entry.round = round;
      if (sameState(entry, pod) && (entry.assumedUntil === undefined || entry.assumedUntil > now)) return;
      if (entry.assumedUntil !== undefined && !node && entry.assumedUntil > now && !isFinished(pod)) return;
      drop(uid, entry);
      if (!node) changes.push({ type: 'pod left', pod: entry.info, node: entry.node });
    }
    if (!node) return;
    const info = podInfoOf(slim(pod));
    put(uid, { info, resourceVersion: pod.metadata.resourceVersion, node, assumedUntil: undefined, round });
    if (!entry || entry.assumedUntil !== undefined) changes.push({ type: 'pod came', pod: info, node });
    else note(entry.info, info, node);
  };

  return {
    snapshot,
    /** Takes in the nodes as they are now, and the pods; returns what changed since the last time. */
    look(listedNodes: readonly Node[], pods: PodsSeen, now: number): ClusterChange[] {
      round++;
      changes = [];
      lookAtNodes(listedNodes);
      for (const pod of pods.type === 'all' ? pods.items : pods.put) lookAtPod(pod, now);
      if (pods.type === 'all') {
        for (const [uid, entry] of entries) if (entry.round !== round) leave(uid, entry);
      } else {
        for (const name of pods.gone) {
          const uid = names.get(name) ?? '';
          const entry = entries.get(uid);
          if (entry) leave(uid, entry);
        }
      }
      for (const uid of assumptions) {
        const entry = entries.get(uid);
        if (entry && (entry.assumedUntil ?? now) <= now) leave(uid, entry);
      }
      return changes;
    },
    /** Counts a pod as being on a node until the binding shows, or until a time. */
    assume(pod: PodInfo, node: string, until: number): void {
      put(pod.uid, { info: pod, resourceVersion: pod.pod.metadata.resourceVersion, node, assumedUntil: until, round });
    },
    /** Takes an assumption back. */
    forget(uid: string): void {
      const entry = entries.get(uid);
      if (entry?.assumedUntil !== undefined) drop(uid, entry);
    },
    assumed: (uid: string): boolean => entries.get(uid)?.assumedUntil !== undefined,
  };
};
export type ClusterCache = ReturnType<typeof createClusterCache>;
