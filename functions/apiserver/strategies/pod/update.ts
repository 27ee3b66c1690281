// What may change in a pod after it was made.
import type { NodeAffinity, NodeSelectorTerm, Pod, PodSpec } from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, same } from '../checks.ts';
import { checkImageSpace } from './containers.ts';
import { checkTolerations } from './scheduling.ts';

const checkImages = (out: Causes, list: 'containers' | 'initContainers', next: PodSpec, old: PodSpec): boolean => {
  const path = `spec.${list}`;
  const containers = next[list] ?? [];
  if (containers.length !== (old[list]?.length ?? 0)) {
    out.push(cause.forbidden(path, 'pod updates may not add or remove containers'));
    return false;
  }
  containers.forEach((c, i) => {
    if (!c.image) out.push(cause.required(`${at(path, i)}.image`));
    checkImageSpace(out, at(path, i), c.image);
  });
  return true;
};

const checkDeadline = (out: Causes, next: PodSpec, old: PodSpec): boolean => {
  const path = 'spec.activeDeadlineSeconds';
  const value = next.activeDeadlineSeconds;
  const before = old.activeDeadlineSeconds;
  if (value === undefined) {
    if (before === undefined) return true;
    out.push(cause.invalid(path, null, 'must not update from a positive integer to nil value'));
  } else if (value < 0 || value > 2147483647) {
    out.push(cause.invalid(path, value, 'must be between 0 and 2147483647, inclusive'));
    return false;
  } else if (before !== undefined && before < value) {
    out.push(cause.invalid(path, value, 'must be less than or equal to previous value'));
    return false;
  }
  return true;
};

const checkAdded = (out: Causes, next: PodSpec, old: PodSpec): void => {
  const path = 'spec.tolerations';
  const given = next.tolerations ?? [];
  for (const t of old.tolerations ?? []) {
    const kept = given.some((n) => same({ ...n, tolerationSeconds: 0 }, { ...t, tolerationSeconds: 0 }));
    if (kept) continue;
    out.push(cause.forbidden(path, 'existing toleration can not be modified except its tolerationSeconds'));
    return;
  }
  checkTolerations(out, path, given);
};

const checkGates = (out: Causes, next: PodSpec, old: PodSpec): void => {
  const before = new Set((old.schedulingGates ?? []).map((gate) => gate.name));
  next.schedulingGates?.forEach((gate, i) => {
    if (before.has(gate.name)) return;
    const detail = `only deletion is allowed, but found new scheduling gate '${gate.name}'`;
    out.push(cause.forbidden(`${at('spec.schedulingGates', i)}.name`, detail));
  });
};

const onlyAdded = (next: NodeSelectorTerm, old: NodeSelectorTerm): boolean => {
  const { matchExpressions: e = [], matchFields: f = [] } = old;
  const { matchExpressions: nextE = [], matchFields: nextF = [] } = next;
  if (!e.length && !f.length) return !nextE.length && !nextF.length;
  return same(nextE.slice(0, e.length), e) && same(nextF.slice(0, f.length), f);
};

const checkNodeAffinity = (out: Causes, next: NodeAffinity | undefined, old: NodeAffinity | undefined): void => {
  const path = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
  const before = old?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const after = next?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  if (before.length === 0) return;
  if (before.length !== after.length) {
    const detail = 'no additions/deletions to non-empty NodeSelectorTerms list are allowed';
    out.push(cause.invalid(path, after, detail));
    return;
  }
  before.forEach((term, i) => {
    if (onlyAdded(after[i] ?? {}, term)) return;
    out.push(cause.invalid(at(path, i), after[i], 'only additions are allowed (no mutations or deletions)'));
  });
};

/** Fields that an update may touch, put back to what they were: what is left must be equal. */
const withoutMutable = (out: Causes, next: PodSpec, old: PodSpec): PodSpec => {
  const images = (list: 'containers' | 'initContainers') =>
    (next[list] ?? []).map((c, i) => ({ ...c, image: old[list]?.[i]?.image }) as PodSpec['containers'][number]);
  const munged: PodSpec = { ...next, containers: images('containers'), initContainers: images('initContainers') };
  const restore = (field: keyof PodSpec): void => {
    if (old[field] === undefined) delete munged[field];
    else (munged as unknown as Record<string, unknown>)[field] = old[field];
  };
  restore('activeDeadlineSeconds');
  restore('schedulingGates');
  restore('tolerations');
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && next.terminationGracePeriodSeconds === 1) {
    restore('terminationGracePeriodSeconds');
  }
  if (!old.schedulingGates?.length) return munged;
  for (const key in old.nodeSelector) {
    if (next.nodeSelector?.[key] === old.nodeSelector[key]) continue;
    const detail = 'only additions to spec.nodeSelector are allowed (no mutations or deletions)';
    out.push(cause.invalid('spec.nodeSelector', next.nodeSelector, detail));
    break;
  }
  restore('nodeSelector');
  checkNodeAffinity(out, next.affinity?.nodeAffinity, old.affinity?.nodeAffinity);
  const affinity: NonNullable<PodSpec['affinity']> = { ...next.affinity };
  delete affinity.nodeAffinity;
  if (old.affinity?.nodeAffinity) affinity.nodeAffinity = old.affinity.nodeAffinity;
  munged.affinity = affinity;
  return munged;
};

const MUTABLE =
  '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,' +
  '`spec.tolerations` (only additions to existing tolerations),' +
  '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** Rules of an update of a pod beyond those of its state: images, deadline, tolerations and gates may change. */
export const checkPodUpdate = (out: Causes, nextPod: Pod, oldPod: Pod): void => {
  const next = nextPod.spec as PodSpec;
  const old = oldPod.spec as PodSpec;
  if (!checkImages(out, 'containers', next, old) || !checkImages(out, 'initContainers', next, old)) return;
  if (!checkDeadline(out, next, old)) return;
  checkAdded(out, next, old);
  checkGates(out, next, old);
  if (same(next, old)) return;
  if (!same(withoutMutable(out, next, old), old)) {
    out.push(cause.forbidden('spec', `pod updates may not change fields other than ${MUTABLE}`));
  }
};
