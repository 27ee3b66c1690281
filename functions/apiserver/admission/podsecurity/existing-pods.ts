import type { Pod } from '../../../machinery/kinds.d.ts';
import { decode } from '../../../store/decoded.ts';
import type { Call } from '../../context.ts';
import { reasonText, violations } from './levels.ts';
import { type LevelVersion, levelText } from './policy.ts';

const podsMax = 3000;
const checkMsMax = 1000;

/** Each controller's first pod before the others of its kind, so that a cut looks at everything different first. */
const byImportance = (pods: readonly Pod[], exempt: (pod: Pod) => boolean): Pod[] => {
  const seen = new Set<string>();
  const first: Pod[] = [];
  const alike: Pod[] = [];
  for (const pod of pods) {
    if (exempt(pod)) continue;
    const uid = pod.metadata.ownerReferences?.find((owner) => owner.controller)?.uid;
    (uid !== undefined && seen.has(uid) ? alike : first).push(pod);
    if (uid !== undefined) seen.add(uid);
  }
  return [...first, ...alike];
};

const others = (count: number): string => {
  if (count === 1) return '';
  return count === 2 ? ' (and 1 other pod)' : ` (and ${count - 1} other pods)`;
};

/** Warnings about pods of a namespace that its new enforce level would refuse, were they made now. */
export const existingPodWarnings = async (
  { server, info }: Call,
  enforce: LevelVersion,
  exempt: (pod: Pod) => boolean,
): Promise<string[]> => {
  const namespace = info.name;
  const replica = await server.replicas.of({ cluster: info.cluster, group: '', resource: 'pods' });
  await replica.fresh();
  const all = byImportance(
    replica.list({ namespace }).map((stored) => decode(stored) as Pod),
    exempt,
  );
  const until = server.clock.now() + checkMsMax;
  const found = new Map<string, string[]>();
  let checked = 0;
  for (const pod of all.slice(0, podsMax)) {
    if (checked > 0 && server.clock.now() > until) break;
    checked++;
    if (!pod.spec) continue;
    const against = violations(enforce, { annotations: pod.metadata.annotations ?? {}, spec: pod.spec });
    if (against.length === 0) continue;
    const reason = reasonText(against);
    found.set(reason, [...(found.get(reason) ?? []), pod.metadata.name ?? '']);
  }
  const warnings: string[] = [];
  if (checked < all.length)
    warnings.push(
      `new PodSecurity enforce level only checked against the first ${checked} of ${all.length} existing pods`,
    );
  if (found.size === 0) return warnings;
  warnings.push(
    `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${levelText(enforce)}"`,
  );
  const lines = [...found].map(([reason, names]) => `${[...names].sort()[0]}${others(names.length)}: ${reason}`);
  return [...warnings, ...lines.sort()];
};
