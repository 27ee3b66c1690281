import type { DaemonSet, Pod } from '../../machinery/kinds.d.ts';
import type { Instant } from '../controller.ts';
import { isAvailable, isTerminating } from '../pods.ts';
import { isUpdated } from './pod.ts';

export interface Steps {
  /** Nodes that get another pod. */
  create: string[];
  remove: Pod[];
}

const portion = (value: number | string | undefined, of: number): number =>
  typeof value === 'number' ? value : Math.ceil(((Number.parseFloat(value ?? '0') || 0) * of) / 100);

/** How many pods may be missing or be there twice while the set rolls, of `desired` ones; never both zero. */
export const allowance = (set: DaemonSet, desired: number): { unavailable: number; surge: number } => {
  const rolling = set.spec?.updateStrategy?.rollingUpdate;
  const surge = portion(rolling?.maxSurge ?? 0, desired);
  const unavailable = portion(rolling?.maxUnavailable ?? (surge > 0 ? 0 : 1), desired);
  return { surge, unavailable: surge + unavailable === 0 ? 1 : unavailable };
};

export const allowsSurge = (set: DaemonSet): boolean =>
  set.spec?.updateStrategy?.type !== 'OnDelete' && allowance(set, 100).surge > 0;

interface Node {
  name: string;
  old: Pod[];
  new: Pod[];
}

/** The next steps of a rolling update (KEP-1591 for surge): pods of an older template that are not available go first. */
export const roll = (
  set: DaemonSet,
  byNode: ReadonlyMap<string, readonly Pod[]>,
  hash: string,
  desired: number,
  now: Instant,
): Steps => {
  if (set.spec?.updateStrategy?.type === 'OnDelete') return { create: [], remove: [] };
  const nodes = [...byNode].map(([name, pods]): Node => {
    const alive = pods.filter((pod) => !isTerminating(pod));
    const isNew = (pod: Pod) => isUpdated(set, pod, hash);
    return { name, old: alive.filter((pod) => !isNew(pod)), new: alive.filter(isNew) };
  });
  const available = (pod: Pod | undefined): boolean =>
    pod !== undefined && isAvailable(pod, set.spec?.minReadySeconds ?? 0, now);
  const { unavailable, surge } = allowance(set, desired);
  return surge > 0 ? surging(nodes, surge, available) : replacing(nodes, unavailable, available);
};

type Available = (pod: Pod | undefined) => boolean;

const replacing = (nodes: readonly Node[], limit: number, available: Available): Steps => {
  let missing = 0;
  const first: Pod[] = [];
  const rest: Pod[] = [];
  for (const node of nodes) {
    const [old] = node.old;
    if (node.old.length === 1 && node.new.length === 0 && old) {
      if (available(old)) rest.push(old);
      else {
        first.push(old);
        missing++;
      }
    } else if (node.old.length > 0 || node.new.length !== 1 || !available(node.new[0])) missing++;
  }
  return { create: [], remove: [...first, ...rest.slice(0, Math.max(0, limit - missing))] };
};

const surging = (nodes: readonly Node[], limit: number, available: Available): Steps => {
  let twice = 0;
  const remove: Pod[] = [];
  const first: string[] = [];
  const rest: string[] = [];
  for (const node of nodes) {
    const [old] = node.old;
    if (!old) continue;
    if (node.old.length > 1 || node.new.length > 1) twice++;
    else if (node.new.length === 0) (available(old) ? rest : first).push(node.name);
    else if (available(node.new[0])) remove.push(old);
    else twice++;
  }
  return { create: [...first, ...rest.slice(0, Math.max(0, limit - twice))], remove };
};
