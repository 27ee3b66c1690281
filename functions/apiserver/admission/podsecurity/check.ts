import type { Container, PodSpec } from '../../../machinery/kinds.d.ts';

/** What a check looks at: a pod's, or a pod template's. */
export interface CheckedPod {
  annotations: Readonly<Record<string, string>>;
  spec: PodSpec;
}

/** What a check has against a pod: the reason in short, and who is at fault. */
export interface Violation {
  reason: string;
  detail: string;
}

export type CheckPod = (pod: CheckedPod) => Violation | undefined;

/**
 * One rule of the Pod Security Standards. `versions` holds its forms by the minor version of the policy that they begin
 * with, oldest first; before the first one nothing is checked.
 */
export interface Check {
  id: string;
  level: 'baseline' | 'restricted';
  versions: readonly {
    from: number;
    check: CheckPod;
    /** Baseline checks that this one takes the place of. */
    overrides?: readonly string[];
  }[];
}

/** All containers in upstream's order: init, app, ephemeral. */
export const containersOf = ({ spec }: CheckedPod): Container[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
  ...((spec.ephemeralContainers ?? []) as Container[]),
];

export const quoted = (items: readonly string[]): string => `"${items.join('", "')}"`;

/** Each once, in order of bytes. */
export const sorted = (items: Iterable<string>): string[] => [...new Set(items)].sort();

export const plural = (count: number, one: string, many = `${one}s`): string => (count === 1 ? one : many);

/** `container "a"`, `containers "a", "b"`. */
export const containersText = (names: readonly string[]): string =>
  `${plural(names.length, 'container')} ${quoted(names)}`;

/** `pod and containers "a", "b"`: who sets something; undefined when nobody does. */
export const settersText = (pod: boolean, containers: readonly string[]): string | undefined => {
  const setters = pod ? ['pod'] : [];
  if (containers.length) setters.push(containersText(containers));
  return setters.length ? setters.join(' and ') : undefined;
};

/** Names of the containers for which something holds. */
export const named = (pod: CheckedPod, holds: (container: Container) => boolean): string[] =>
  containersOf(pod)
    .filter(holds)
    .map((container) => container.name);

export const isWindows = ({ spec }: CheckedPod): boolean => spec.os?.name === 'windows';

/** Root in a user namespace is nobody outside of it. KEP-127. */
export const inUserNamespace = ({ spec }: CheckedPod): boolean => spec.hostUsers === false;

/** The check, but for pods for which something holds. */
export const unless =
  (exempt: (pod: CheckedPod) => boolean, check: CheckPod): CheckPod =>
  (pod) =>
    exempt(pod) ? undefined : check(pod);
