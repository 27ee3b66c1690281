import { createHash } from 'node:crypto';
import type { Deployment, PodTemplateSpec, ReplicaSet } from '../../machinery/kinds.d.ts';
import { sameJson } from '../status-patch.ts';

export const hashLabel = 'pod-template-hash';
export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const historyAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas';

const notCopied = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
]);

export const sizeOf = (set: ReplicaSet | undefined): number => set?.spec?.replicas ?? (set ? 1 : 0);
export const wanted = (deployment: Deployment): number => deployment.spec?.replicas ?? 1;
export const isRolling = (deployment: Deployment): boolean => deployment.spec?.strategy?.type !== 'Recreate';
export const total = (sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number): number =>
  sets.reduce((sum, set) => sum + count(set), 0);

const portion = (value: number | string | undefined, of: number, round: (n: number) => number): number => {
  if (typeof value === 'number') return value;
  const percent = Number.parseFloat(value ?? '25%');
  return Number.isFinite(percent) ? round((percent * of) / 100) : 0;
};

/** Both fenceposts in pods: surge rounds up, unavailable down, and never both zero. */
export const fenceposts = (deployment: Deployment): { surge: number; unavailable: number } => {
  if (!isRolling(deployment)) return { surge: 0, unavailable: 0 };
  const rolling = deployment.spec?.strategy?.rollingUpdate;
  const replicas = wanted(deployment);
  const surge = portion(rolling?.maxSurge, replicas, Math.ceil);
  let unavailable = portion(rolling?.maxUnavailable, replicas, Math.floor);
  if (surge === 0 && unavailable === 0) unavailable = 1;
  return { surge, unavailable: Math.min(unavailable, replicas) };
};

const withoutHash = (template: PodTemplateSpec | undefined): PodTemplateSpec => {
  const { [hashLabel]: _, ...labels } = template?.metadata?.labels ?? {};
  const { labels: _labels, ...metadata } = template?.metadata ?? {};
  const named = Object.keys(labels).length > 0 ? { ...metadata, labels } : metadata;
  return { ...template, metadata: named };
};

export const sameTemplate = (a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean =>
  sameJson(withoutHash(a), withoutHash(b));

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
/** The value with the fields of its objects in the order of their names, as upstream's controllers write patches. */
export const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, canonical(v)]));
};

/** A stable hash of a template, ten characters that spell no word; another collision count gives another hash. */
export const templateHash = (template: PodTemplateSpec | undefined, collisions: number | undefined): string => {
  const text = JSON.stringify(canonical(withoutHash(template))) + (collisions ? `#${collisions}` : '');
  const digest = createHash('sha256').update(text).digest();
  return Array.from(digest.subarray(0, 10), (byte) => alphabet[byte % alphabet.length]).join('');
};

const INT64_MAX = 2n ** 63n - 1n;

/** The revision in the annotation, an int64; 0 where there is none that can be read. */
export const revisionOf = (set: { metadata: { annotations?: Record<string, string> } }): bigint => {
  const text = set.metadata.annotations?.[revisionAnnotation] ?? '';
  const revision = /^[+-]?\d{1,19}$/.test(text) ? BigInt(text.replace('+', '')) : 0n;
  return revision > INT64_MAX || revision < -INT64_MAX ? 0n : revision;
};

export const byCreation = (a: ReplicaSet, b: ReplicaSet): number =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  (a.metadata.name ?? '').localeCompare(b.metadata.name ?? '');

export const replicasAnnotations = (deployment: Deployment): Record<string, string> => ({
  [desiredAnnotation]: String(wanted(deployment)),
  [maxAnnotation]: String(wanted(deployment) + fenceposts(deployment).surge),
});

const copied = (deployment: Deployment): Record<string, string> =>
  Object.fromEntries(Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !notCopied.has(key)));

/** What the new replica set's annotations should be: the deployment's own, and the newest revision. */
export const newSetAnnotations = (
  deployment: Deployment,
  set: ReplicaSet | undefined,
  revision: bigint,
): Record<string, string> => {
  const annotations = { ...set?.metadata.annotations, ...copied(deployment) };
  const before = annotations[revisionAnnotation];
  if (revisionOf({ metadata: { annotations } }) < revision) {
    annotations[revisionAnnotation] = String(revision);
    if (before && set) {
      const history = annotations[historyAnnotation];
      annotations[historyAnnotation] = history ? `${history},${before}` : before;
    }
  }
  return set ? annotations : { ...annotations, ...replicasAnnotations(deployment) };
};

export interface Family {
  /** The one of the deployment's present template; undefined when there is none yet. */
  newest: ReplicaSet | undefined;
  old: ReplicaSet[];
  revision: bigint;
}

/** Splits a deployment's replica sets; of several with the present template the oldest is the new one. */
export const family = (deployment: Deployment, sets: readonly ReplicaSet[]): Family => {
  const sorted = [...sets].sort(byCreation);
  const newest = sorted.find((set) => sameTemplate(set.spec?.template, deployment.spec?.template));
  const old = sorted.filter((set) => set !== newest);
  const most = old.map(revisionOf).reduce((a, b) => (a > b ? a : b), 0n);
  return { newest, old, revision: most + 1n };
};
