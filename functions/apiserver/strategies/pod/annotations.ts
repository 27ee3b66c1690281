// Annotations that were fields before their fields were: AppArmor still counts (KEP-24), seccomp no longer does.
import type { Container, ObjectMeta, Pod, PodSpec } from '../../../machinery/kinds.d.ts';

const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/';
const SECCOMP = /^(container\.)?seccomp\.security\.alpha\.kubernetes\.io\//;

type Profile = NonNullable<NonNullable<Container['securityContext']>['appArmorProfile']>;

const profileOf = (text: string): Profile | undefined => {
  if (text === 'runtime/default') return { type: 'RuntimeDefault' };
  if (text === 'unconfined') return { type: 'Unconfined' };
  if (text.startsWith('localhost/')) return { type: 'Localhost', localhostProfile: text.slice('localhost/'.length) };
  return undefined;
};

/** Gives containers the AppArmor profile that an annotation asks for, where their field names none. */
export const profilesFromAnnotations = (pod: Pod): void => {
  const { annotations } = pod.metadata;
  if (!annotations) return;
  for (const list of [pod.spec?.initContainers, pod.spec?.containers])
    for (const container of list ?? []) {
      const profile = profileOf(annotations[`${APPARMOR}${container.name}`] ?? '');
      if (!profile || container.securityContext?.appArmorProfile) continue;
      container.securityContext = { ...container.securityContext, appArmorProfile: profile };
    }
};

/** Warnings about annotations with a field of their own, of a pod, or of a template at `path`. */
export const annotationWarnings = (owner: { metadata?: ObjectMeta; spec?: PodSpec }, path = ''): string[] => {
  const { metadata, spec } = owner;
  const profiled = (name: string): boolean =>
    [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].some(
      (c) => c.name === name && c.securityContext?.appArmorProfile !== undefined,
    );
  return Object.keys(metadata?.annotations ?? {}).flatMap((key) => {
    const at = `${path}${path && '.'}metadata.annotations[${key}]`;
    if (key.startsWith(APPARMOR) && !(path && profiled(key.slice(APPARMOR.length))))
      return [`${at}: deprecated since v1.30; use the "appArmorProfile" field instead`];
    if (SECCOMP.test(key)) return [`${at}: non-functional in v1.27+; use the "seccompProfile" field instead`];
    return [];
  });
};
