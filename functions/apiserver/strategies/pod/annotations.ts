// Annotations with a meaning for pods. Some were there before their fields: AppArmor's still count (KEP-24), seccomp's no
// longer do (KEP-135), yet must not say something else than the fields.
import type { AppArmorProfile, ObjectMeta, Pod, PodSpec, SeccompProfile } from '../../../machinery/kinds.d.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import { at, type Causes, same } from '../checks.ts';
import { descendingPath } from './paths.ts';
import { checkTolerations } from './scheduling.ts';
import { eachContainer } from './security.ts';

const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/';
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';
const MIRROR = 'kubernetes.io/config.mirror';
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
const TOLERATIONS = 'scheduler.alpha.kubernetes.io/tolerations';
const LOCAL = 'localhost/';

type Annotations = Readonly<Record<string, string>> | undefined;
type Profile = AppArmorProfile | SeccompProfile;
interface Owner {
  metadata?: ObjectMeta;
  spec?: PodSpec;
}

const profileOf = (text: string): AppArmorProfile | undefined => {
  if (text === 'runtime/default') return { type: 'RuntimeDefault' };
  if (text === 'unconfined') return { type: 'Unconfined' };
  if (!text.startsWith(LOCAL)) return undefined;
  const localhostProfile = text.slice(LOCAL.length);
  const usable = localhostProfile && localhostProfile.trim() === localhostProfile && localhostProfile.length <= 4095;
  return usable ? { type: 'Localhost', localhostProfile } : undefined;
};

const deprecated = (path: string, key: string): string =>
  `${at(`${path}metadata.annotations`, key)}: deprecated since v1.30; use the "appArmorProfile" field instead`;

/**
 * Gives containers the AppArmor profile that an annotation asks for, where their own field names none and the pod's is
 * another one, and warns of an annotation that was needed or could not be understood.
 */
export const profilesFromAnnotations = (pod: Pod, warn: (text: string) => void): void => {
  const { annotations } = pod.metadata;
  const { spec } = pod;
  if (!annotations || !spec || spec.os?.name === 'windows') return;
  eachContainer(spec, 'spec', (container) => {
    const key = `${APPARMOR}${container.name}`;
    const text = annotations[key];
    if (text === undefined || container.securityContext?.appArmorProfile) return;
    const profile = profileOf(text);
    if (profile && same(profile, spec.securityContext?.appArmorProfile)) return;
    if (profile) container.securityContext = { ...container.securityContext, appArmorProfile: profile };
    warn(deprecated('', key));
  });
};

/** Warnings about annotations with a field of their own, of a pod, or of a template at `path`. */
export const annotationWarnings = ({ metadata, spec }: Owner, path = ''): string[] => {
  const out: string[] = [];
  const annotations = metadata?.annotations;
  if (!annotations || !spec) return out;
  const before = path && `${path}.`;
  const aboutSeccomp = (key: string): void => {
    if (annotations[key] === undefined) return;
    out.push(
      `${at(`${before}metadata.annotations`, key)}: non-functional in v1.27+; use the "seccompProfile" field instead`,
    );
  };
  if (!spec.securityContext?.seccompProfile) aboutSeccomp(SECCOMP_POD);
  eachContainer(spec, '', (container) => {
    if (!container.securityContext?.seccompProfile) aboutSeccomp(`${SECCOMP_CONTAINER}${container.name}`);
    const text = annotations[`${APPARMOR}${container.name}`];
    // A pod's were told of before they became fields.
    if (!path || text === undefined || container.securityContext?.appArmorProfile) return;
    const profile = spec.securityContext?.appArmorProfile;
    if (!profile || !same(profile, profileOf(text))) out.push(deprecated(before, `${APPARMOR}${container.name}`));
  });
  return out;
};

const checkSeccompText = (out: Causes, path: string, text: string): void => {
  if (['runtime/default', 'docker/default', 'unconfined'].includes(text)) return;
  if (text.startsWith(LOCAL)) descendingPath(out, path, text.slice(LOCAL.length));
  else out.push(cause.invalid(path, text, 'must be a valid seccomp profile'));
};

const checkAppArmorText = (out: Causes, path: string, key: string, text: string, spec: PodSpec): void => {
  const name = key.slice(APPARMOR.length);
  let found = false;
  eachContainer(spec, '', (container) => {
    found ||= container.name === name;
  });
  if (!found) out.push(cause.invalid(at(path, key), name, 'container not found'));
  if (text === '' || text === 'runtime/default' || text === 'unconfined' || text.startsWith(LOCAL)) return;
  out.push(cause.invalid(at(path, key), text, `invalid AppArmor profile name: ${JSON.stringify(text)}`));
};

/** The tolerations that an annotation of old lists, as JSON. */
const checkOldTolerations = (out: Causes, path: string, text: string): void => {
  try {
    const list: unknown = JSON.parse(text);
    if (list !== null && !Array.isArray(list)) throw new Error('the annotation holds no list');
    checkTolerations(out, `${path}.${TOLERATIONS}`, list ?? []);
  } catch (error) {
    out.push(cause.invalid(path, TOLERATIONS, error instanceof Error ? error.message : String(error)));
  }
};

/** Annotations of a pod or a template, at `path`. */
export const checkPodAnnotations = (out: Causes, path: string, annotations: Annotations, spec: PodSpec): void => {
  if (!annotations) return;
  const mirror = annotations[MIRROR];
  if (mirror !== undefined && !spec.nodeName)
    out.push(cause.invalid(at(path, MIRROR), mirror, 'must set spec.nodeName if mirror pod annotation is set'));
  if (annotations[TOLERATIONS]) checkOldTolerations(out, path, annotations[TOLERATIONS]);
  const cost = annotations[DELETION_COST];
  if (cost !== undefined && !(/^(0|-?[1-9]\d*)$/.test(cost) && Math.abs(Number(cost)) <= 2147483647))
    out.push(cause.invalid(at(path, DELETION_COST), cost, 'must be a 32bit integer'));
  for (const key in annotations) {
    const text = annotations[key] ?? '';
    if (key === SECCOMP_POD || key.startsWith(SECCOMP_CONTAINER)) checkSeccompText(out, `${path}.${key}`, text);
    else if (key.startsWith(APPARMOR)) checkAppArmorText(out, path, key, text, spec);
  }
};

/** What is wrong where a field and an annotation name a profile each. */
const differing = (
  what: string,
  path: string,
  field: Profile | undefined,
  text: string | undefined,
): Cause | undefined => {
  if (!field || text === undefined) return undefined;
  const other = cause.forbidden(`${path}.type`, `${what} type in annotation and field must match`);
  if (field.type === 'Unconfined') return text === 'unconfined' ? undefined : other;
  if (field.type === 'RuntimeDefault')
    return text === 'runtime/default' || (what === 'seccomp' && text === 'docker/default') ? undefined : other;
  if (field.type !== 'Localhost') return undefined;
  if (!text.startsWith(LOCAL)) return other;
  if (field.localhostProfile === text.slice(LOCAL.length)) return undefined;
  return cause.forbidden(`${path}.localhostProfile`, `${what} profile in annotation and field must match`);
};

/** Refuses profiles of fields that say something else than the annotations do: of a pod when made, of a template always. */
export const checkProfilesMatch = (out: Causes, path: string, annotations: Annotations, spec: PodSpec): void => {
  if (!annotations) return;
  const push = (found: Cause | undefined): void => {
    if (found) out.push(found);
  };
  const pod = spec.securityContext;
  push(differing('seccomp', `${path}.securityContext.seccompProfile`, pod?.seccompProfile, annotations[SECCOMP_POD]));
  eachContainer(spec, path, ({ name, securityContext: own }, where) => {
    const text = annotations[`${SECCOMP_CONTAINER}${name}`];
    push(differing('seccomp', `${where}.securityContext.seccompProfile`, own?.seccompProfile, text));
  });
  if (spec.os?.name === 'windows') return;
  eachContainer(spec, path, ({ name, securityContext: own }, where) => {
    const field = own?.appArmorProfile ?? pod?.appArmorProfile;
    push(differing('apparmor', `${where}.securityContext.appArmorProfile`, field, annotations[`${APPARMOR}${name}`]));
  });
};

/** Refuses changes of annotations that name a profile, or say that a pod mirrors a static one. */
export const checkAnnotationChanges = (out: Causes, next: Annotations, old: Annotations): void => {
  const refuse = (key: string, how: string): void => {
    const what = key.startsWith(APPARMOR) ? 'AppArmor annotations' : key === MIRROR ? 'mirror pod annotation' : '';
    if (what) out.push(cause.forbidden(at('metadata.annotations', key), `may not ${how} ${what}`));
  };
  for (const key in old) if (next?.[key] !== old[key]) refuse(key, 'remove or update');
  for (const key in next) if (old?.[key] === undefined) refuse(key, 'add');
};
