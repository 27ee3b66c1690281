import type { ControllerRevision, PodTemplateSpec, StatefulSet } from '../../machinery/kinds.d.ts';
import type { PlannedWrite } from '../controller.ts';
import { presentRevision, withoutOldest } from '../controller-revisions.ts';

export interface Revisions {
  /** Name of the revision of the present template. */
  update: string;
  /** Name of the revision that pods had before; the same when no update is under way. */
  current: string;
  templateOf(name: string): PodTemplateSpec | undefined;
  writes: PlannedWrite[];
}

type Data = { spec?: { template?: PodTemplateSpec & { $patch?: string } } };

/** The set's history: a revision for each template, the present one with the highest number, old unused ones removed. */
export const revisionsOf = (
  set: StatefulSet,
  history: readonly ControllerRevision[],
  used: ReadonlySet<string>,
): Revisions => {
  const template = set.spec?.template;
  const { name: update, writes } = presentRevision(set, history, {
    kind: 'StatefulSet',
    hashLabel: 'controller.kubernetes.io/hash',
  });
  const current = set.status?.currentRevision || update;
  const idle = history.filter((one) => {
    const name = one.metadata.name ?? '';
    return name !== update && name !== current && !used.has(name);
  });
  const excess = Math.max(0, idle.length - (set.spec?.revisionHistoryLimit ?? 10));
  return {
    update,
    current,
    writes: [...writes, ...withoutOldest(idle, excess)],
    templateOf(name) {
      if (name === update) return template;
      const data = history.find((one) => one.metadata.name === name)?.data as Data | undefined;
      const { $patch: _, ...known } = data?.spec?.template ?? {};
      return data ? known : template;
    },
  };
};
