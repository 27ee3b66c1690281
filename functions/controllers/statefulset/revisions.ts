import type { ControllerRevision, PodTemplateSpec, StatefulSet } from '../../machinery/kinds.d.ts';
import type { PlannedWrite } from '../controller.ts';
import { templateHash } from '../deployment/replica-sets.ts';
import { expectsOf, ownerReference, targetOf } from '../owners.ts';
import { controllerRevisions } from '../resources.ts';

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
  const hash = templateHash(template, set.status?.collisionCount);
  const update = `${set.metadata.name}-${hash}`;
  const current = set.status?.currentRevision || update;
  const newest = history.reduce((most, one) => Math.max(most, one.revision), 0);
  const found = history.find((one) => one.metadata.name === update);
  const writes: PlannedWrite[] = [];
  if (!found) {
    const object: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name: update,
        namespace: set.metadata.namespace ?? '',
        labels: { ...template?.metadata?.labels, 'controller.kubernetes.io/hash': hash },
        ownerReferences: [ownerReference(set, 'apps/v1', 'StatefulSet')],
      },
      data: { spec: { template: { ...template, $patch: 'replace' } } },
      revision: newest + 1,
    };
    writes.push({ op: 'create', resource: controllerRevisions, object, onExists: 'ignore' });
  } else if (found.revision < newest) {
    const merge = { revision: newest + 1 };
    const target = targetOf(found);
    writes.push({ op: 'patch', resource: controllerRevisions, target, merge, expects: expectsOf(found) });
  }
  const idle = history.filter((one) => {
    const name = one.metadata.name ?? '';
    return name !== update && name !== current && !used.has(name);
  });
  const excess = Math.max(0, idle.length - (set.spec?.revisionHistoryLimit ?? 10));
  for (const old of [...idle].sort((a, b) => a.revision - b.revision).slice(0, excess)) {
    const expects = { uid: old.metadata.uid ?? '' };
    writes.push({ op: 'delete', resource: controllerRevisions, target: targetOf(old), expects });
  }
  return {
    update,
    current,
    writes,
    templateOf(name) {
      if (name === update) return template;
      const data = history.find((one) => one.metadata.name === name)?.data as Data | undefined;
      const { $patch: _, ...known } = data?.spec?.template ?? {};
      return data ? known : template;
    },
  };
};
