import type { Pod, RuntimeClass, Toleration } from '../../machinery/kinds.d.ts';
import type { JsonObject, KubeObject } from '../../machinery/object.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import type { AdmissionPlugin } from './admission.ts';
import { refusal } from './refusal.ts';
import { isCreateOf } from './request-type.ts';
import { storedObject } from './stored.ts';

const same = (a: Toleration, b: Toleration): boolean =>
  equalJson(a as unknown as JsonObject, b as unknown as JsonObject);

/** Whether whatever `one` tolerates is tolerated by `all` too. */
const covers = (all: Toleration, one: Toleration): boolean => {
  if (same(all, one)) return true;
  const anyKey = !all.key && all.operator === 'Exists';
  if (one.key !== all.key && !anyKey) return false;
  if (all.effect && one.effect !== all.effect) return false;
  if (all.effect === 'NoExecute' && all.tolerationSeconds !== undefined)
    if (one.tolerationSeconds === undefined || one.tolerationSeconds > all.tolerationSeconds) return false;
  if (all.operator === 'Exists') return true;
  return (one.operator ?? 'Equal') === 'Equal' && (one.value ?? '') === (all.value ?? '');
};

/** Both lists, without what another entry covers. */
const mergedTolerations = (given: readonly Toleration[], added: readonly Toleration[]): Toleration[] => {
  const all = [...given, ...added];
  const merged: Toleration[] = [];
  for (const [i, one] of all.entries()) {
    const covered =
      merged.some((other) => covers(other, one)) ||
      all.slice(i + 1).some((other) => !same(other, one) && covers(other, one));
    if (!covered) merged.push(one);
  }
  return merged;
};

/** A pod takes its overhead, node selector and tolerations from its runtime class, which must exist. KEP-688. */
export const runtimeClass: AdmissionPlugin = {
  name: 'RuntimeClass',
  about: ['/pods'],
  admit: async (request) => {
    if (!isCreateOf(request, '/pods')) return;
    const { spec } = request.object as KubeObject as Pod;
    if (!spec) return;
    const mismatch = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
    const undefinedOverhead = 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead';
    const name = spec.runtimeClassName;
    if (name === undefined) {
      if (spec.overhead) throw refusal(request, undefinedOverhead);
      return;
    }
    const found = await storedObject<RuntimeClass>(request.call, 'node.k8s.io', 'runtimeclasses', name);
    if (!found) throw refusal(request, `pod rejected: RuntimeClass "${name}" not found`);
    const overhead = found.overhead?.podFixed;
    if (!overhead && spec.overhead) throw refusal(request, undefinedOverhead);
    if (overhead) {
      if (spec.overhead && Object.keys(spec.overhead).length > 0 && !equalJson(spec.overhead, overhead))
        throw refusal(request, mismatch);
      spec.overhead = { ...overhead };
    }
    const { scheduling } = found;
    if (!scheduling) return;
    for (const [key, value] of Object.entries(scheduling.nodeSelector ?? {})) {
      const own = spec.nodeSelector?.[key];
      if (own !== undefined && own !== value)
        throw refusal(
          request,
          `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
        );
    }
    if (scheduling.nodeSelector) spec.nodeSelector = { ...spec.nodeSelector, ...scheduling.nodeSelector };
    const tolerations = mergedTolerations(spec.tolerations ?? [], scheduling.tolerations ?? []);
    if (tolerations.length > 0) spec.tolerations = tolerations;
  },
};
