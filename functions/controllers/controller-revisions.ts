import type { ControllerRevision, DaemonSet, StatefulSet } from '../machinery/kinds.d.ts';
import type { PlannedWrite } from './controller.ts';
import { canonical, templateHash } from './deployment/replica-sets.ts';
import { expectsOf, ownerReference, targetOf } from './owners.ts';
import { controllerRevisions } from './resources.ts';

/** How a set's controller marks the revisions that it makes. */
export interface RevisionMarks {
  kind: 'DaemonSet' | 'StatefulSet';
  /** The label that holds the template's hash. */
  hashLabel: string;
  annotations?: Record<string, string>;
}

/** The revision of a set's present template. */
export interface PresentRevision {
  hash: string;
  name: string;
  /** Undefined where it is to be made. */
  found: ControllerRevision | undefined;
  /** Makes it, or gives it the highest number again. */
  writes: PlannedWrite[];
}

/**
 * The revision that holds this very data, whoever made it and whatever it is called; of several the one with the highest
 * number. A name of ours counts too.
 */
const revisionOfData = (
  revisions: readonly ControllerRevision[],
  name: string,
  data: ControllerRevision['data'],
): ControllerRevision | undefined => {
  const text = JSON.stringify(data);
  return revisions
    .filter((one) => one.metadata.name === name || JSON.stringify(canonical(one.data)) === text)
    .reduce<ControllerRevision | undefined>(
      (best, one) => (best && best.revision >= one.revision ? best : one),
      undefined,
    );
};

/** One revision for each template; a rollback gives an old one the highest number. */
export const presentRevision = (
  set: DaemonSet | StatefulSet,
  revisions: readonly ControllerRevision[],
  { kind, hashLabel, annotations }: RevisionMarks,
): PresentRevision => {
  const template = set.spec?.template;
  const hash = templateHash(template, set.status?.collisionCount);
  const name = `${set.metadata.name}-${hash}`;
  const newest = revisions.reduce((most, one) => Math.max(most, one.revision), 0);
  const data = canonical({ spec: { template: { ...template, $patch: 'replace' } } }) as NonNullable<
    ControllerRevision['data']
  >;
  const found = revisionOfData(revisions, name, data);
  if (!found) {
    const object: ControllerRevision = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name,
        namespace: set.metadata.namespace ?? '',
        labels: { ...template?.metadata?.labels, [hashLabel]: hash },
        ...(annotations && { annotations }),
        ownerReferences: [ownerReference(set, 'apps/v1', kind)],
      },
      data,
      revision: newest + 1,
    };
    return { hash, name, found, writes: [{ op: 'create', resource: controllerRevisions, object, onExists: 'ignore' }] };
  }
  const marks = { hash: found.metadata.labels?.[hashLabel] ?? hash, name: found.metadata.name ?? name };
  if (found.revision === newest) return { ...marks, found, writes: [] };
  const merge = { revision: newest + 1 };
  const target = targetOf(found);
  const expects = expectsOf(found);
  return { ...marks, found, writes: [{ op: 'patch', resource: controllerRevisions, target, merge, expects }] };
};

/** Removes the oldest of these, so many. */
export const withoutOldest = (revisions: readonly ControllerRevision[], count: number): PlannedWrite[] =>
  [...revisions]
    .sort((a, b) => a.revision - b.revision)
    .slice(0, count)
    .map((old) => {
      const expects = { uid: old.metadata.uid ?? '' };
      return { op: 'delete', resource: controllerRevisions, target: targetOf(old), expects };
    });
