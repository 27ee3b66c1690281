import type { Node, Pod } from '../machinery/kinds.d.ts';
import { type ClusterObjects, noObjects } from './cluster-objects.ts';
import type { NodeInfo, PodInfo, Requests, Snapshot } from './framework.ts';
import { podInfoOf, requestsOf } from './pod-info.ts';

const imagesOf = (node: Node): ReadonlyMap<string, number> | undefined => {
  if (!node.status?.images?.length) return undefined;
  const out = new Map<string, number>();
  for (const image of node.status.images) for (const name of image.names ?? []) out.set(name, image.sizeBytes ?? 0);
  return out;
};

const noLabels: Readonly<Record<string, string>> = {};

export const emptyNode = (node: Node): NodeInfo => ({
  node,
  name: node.metadata.name ?? '',
  labels: node.metadata.labels ?? noLabels,
  allocatable: requestsOf(node.status?.allocatable ?? node.status?.capacity),
  requested: {},
  nonZeroRequested: { cpu: 0, memory: 0 },
  pods: [],
  affinityPods: [],
  images: imagesOf(node),
});

const addRequests = (into: Requests, pod: PodInfo, sign: 1 | -1): void => {
  for (const [name, n] of pod.wanted) into[name] = (into[name] ?? 0) + sign * n;
};

/** Puts a pod on a node of a snapshot. */
export const place = (node: NodeInfo, pod: PodInfo): void => {
  node.pods.push(pod);
  if (pod.affinity) node.affinityPods.push(pod);
  addRequests(node.requested, pod, 1);
  node.nonZeroRequested.cpu += pod.nonZero.cpu;
  node.nonZeroRequested.memory += pod.nonZero.memory;
};

/** Takes a pod off again; does nothing when it is not there. */
export const unplace = (node: NodeInfo, pod: PodInfo): void => {
  const at = node.pods.lastIndexOf(pod);
  if (at < 0) return;
  node.pods.splice(at, 1);
  if (pod.affinity) node.affinityPods.splice(node.affinityPods.lastIndexOf(pod), 1);
  addRequests(node.requested, pod, -1);
  node.nonZeroRequested.cpu -= pod.nonZero.cpu;
  node.nonZeroRequested.memory -= pod.nonZero.memory;
};

export const emptySnapshot = (): Snapshot => ({
  nodes: [],
  byName: new Map(),
  nominated: new Map(),
  objects: noObjects(),
  imageNodes: new Map(),
});

const countImages = (snapshot: Snapshot, node: NodeInfo, sign: 1 | -1): void => {
  for (const name of node.images?.keys() ?? []) {
    const count = (snapshot.imageNodes.get(name) ?? 0) + sign;
    if (count > 0) snapshot.imageNodes.set(name, count);
    else snapshot.imageNodes.delete(name);
  }
};

/** Adds a node, or replaces what is known of it; its pods stay. */
export const putNode = (snapshot: Snapshot, node: Node): NodeInfo => {
  const fresh = emptyNode(node);
  const old = snapshot.byName.get(fresh.name);
  if (!old) {
    snapshot.nodes.push(fresh);
    snapshot.byName.set(fresh.name, fresh);
    countImages(snapshot, fresh, 1);
    return fresh;
  }
  countImages(snapshot, old, -1);
  const { node: _, allocatable, labels, images } = fresh;
  Object.assign(old, { node, allocatable, labels, images });
  countImages(snapshot, old, 1);
  return old;
};

export const removeNode = (snapshot: Snapshot, name: string): void => {
  const old = snapshot.byName.get(name);
  if (!old) return;
  snapshot.byName.delete(name);
  snapshot.nodes.splice(snapshot.nodes.indexOf(old), 1);
  countImages(snapshot, old, -1);
};

export const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** The cluster from its nodes and the pods bound to them. */
export const snapshotOf = (
  nodes: readonly Node[],
  pods: Iterable<Pod> = [],
  objects: Partial<ClusterObjects> = {},
): Snapshot => {
  const snapshot = emptySnapshot();
  Object.assign(snapshot.objects, objects);
  for (const node of nodes) putNode(snapshot, node);
  for (const pod of pods) {
    const node = snapshot.byName.get(pod.spec?.nodeName ?? '');
    if (node && !isFinished(pod)) place(node, podInfoOf(pod));
  }
  return snapshot;
};
