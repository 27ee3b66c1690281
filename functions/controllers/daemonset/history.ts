import type { ControllerRevision, DaemonSet } from '../../machinery/kinds.d.ts';
import type { PlannedWrite } from '../controller.ts';
import { presentRevision, withoutOldest } from '../controller-revisions.ts';
import { hashLabel } from './pod.ts';

export interface History {
  /** Of the present template: the label of its pods and the end of its revision's name. */
  hash: string;
  writes: PlannedWrite[];
}

/** The set's history: the oldest revisions that no pod has go. */
export const historyOf = (
  set: DaemonSet,
  revisions: readonly ControllerRevision[],
  live: ReadonlySet<string>,
): History => {
  const { annotations } = set.metadata;
  const { hash, found, writes } = presentRevision(set, revisions, {
    kind: 'DaemonSet',
    hashLabel,
    ...(annotations && { annotations }),
  });
  const old = revisions.filter((one) => one !== found);
  const excess = Math.max(0, old.length - (set.spec?.revisionHistoryLimit ?? 10));
  const idle = old.filter((one) => !live.has(one.metadata.labels?.[hashLabel] ?? ''));
  return { hash, writes: [...writes, ...withoutOldest(idle, excess)] };
};
