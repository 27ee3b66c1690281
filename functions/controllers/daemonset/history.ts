import type { ControllerRevision, DaemonSet } from '../../machinery/kinds.d.ts';
import type { PlannedWrite } from '../controller.ts';
import { templateHash } from '../deployment/replica-sets.ts';
import { expectsOf, ownerReference, targetOf } from '../owners.ts';
import { controllerRevisions } from '../resources.ts';
import { hashLabel } from './pod.ts';

export interface History {
  /** Of the present template: the label of its pods and the end of its revision's name. */
  hash: string;
  writes: PlannedWrite[];
}

/** One revision for each template; a rollback gives an old one the highest number; the oldest unused ones go. */
export const historyOf = (
  set: DaemonSet,
  revisions: readonly ControllerRevision[],
  live: ReadonlySet<string>,
): History => {
  const template = set.spec?.template;
  const hash = templateHash(template, set.status?.collisionCount);
  const name = `${set.metadata.name}-${hash}`;
  const newest = revisions.reduce((most, one) => Math.max(most, one.revision), 0);
  const found = revisions.find((one) => one.metadata.name === name);
  const writes: PlannedWrite[] = [];
  if (!found) {
    const object: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name,
        namespace: set.metadata.namespace ?? '',
        labels: { ...template?.metadata?.labels, [hashLabel]: hash },
        ...(set.metadata.annotations && { annotations: set.metadata.annotations }),
        ownerReferences: [ownerReference(set, 'apps/v1', 'DaemonSet')],
      },
      data: { spec: { template: { ...template, $patch: 'replace' } } },
      revision: newest + 1,
    };
    writes.push({ op: 'create', resource: controllerRevisions, object, onExists: 'ignore' });
  } else if (found.revision < newest) {
    const merge = { revision: newest + 1 };
    writes.push({
      op: 'patch',
      resource: controllerRevisions,
      target: targetOf(found),
      merge,
      expects: expectsOf(found),
    });
  }
  const old = revisions.filter((one) => one !== found);
  const excess = Math.max(0, old.length - (set.spec?.revisionHistoryLimit ?? 10));
  const idle = old.filter((one) => !live.has(one.metadata.labels?.[hashLabel] ?? ''));
  for (const one of idle.sort((a, b) => a.revision - b.revision).slice(0, excess)) {
    const expects = { uid: one.metadata.uid ?? '' };
    writes.push({ op: 'delete', resource: controllerRevisions, target: targetOf(one), expects });
  }
  return { hash, writes };
};
