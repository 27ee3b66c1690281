import {
  type Check,
  type CheckedPod,
  containersOf,
  containersText,
  isWindows,
  named,
  plural,
  quoted,
  settersText,
  sorted,
  unless,
  type Violation,
} from './check.ts';

const reason = 'seccompProfile';
const ofPodKey = 'seccomp.security.alpha.kubernetes.io/pod';
const ofContainerPrefix = 'container.seccomp.security.alpha.kubernetes.io/';

const isUsual = (profile: string): boolean =>
  profile === 'runtime/default' || profile === 'docker/default' || profile.startsWith('localhost/');

/** Before 1.19 profiles stood in annotations. */
const annotated = (pod: CheckedPod): Violation | undefined => {
  const keys = [ofPodKey, ...containersOf(pod).map((one) => `${ofContainerPrefix}${one.name}`)];
  const odd = sorted(
    keys.flatMap((key) => {
      const profile = pod.annotations[key];
      return profile === undefined || isUsual(profile) ? [] : [`${key}=${JSON.stringify(profile)}`];
    }),
  );
  if (odd.length === 0) return undefined;
  return { reason, detail: `forbidden ${plural(odd.length, 'annotation')} ${odd.join(', ')}` };
};

const isAllowed = (type: string): boolean => type === 'Localhost' || type === 'RuntimeDefault';

const explicit = (pod: CheckedPod): Violation | undefined => {
  const isOdd = (type: string | undefined): type is string => type !== undefined && !isAllowed(type);
  const ofPod = pod.spec.securityContext?.seccompProfile?.type;
  const setters = settersText(
    isOdd(ofPod),
    named(pod, ({ securityContext }) => isOdd(securityContext?.seccompProfile?.type)),
  );
  if (setters === undefined) return undefined;
  const all = [ofPod, ...containersOf(pod).map((one) => one.securityContext?.seccompProfile?.type)];
  const odd = quoted(sorted(all.filter(isOdd)));
  return { reason, detail: `${setters} must not set securityContext.seccompProfile.type to ${odd}` };
};

const demanded = (pod: CheckedPod): Violation | undefined => {
  const violation = explicit(pod);
  if (violation || pod.spec.securityContext?.seccompProfile) return violation;
  const silent = named(pod, ({ securityContext }) => securityContext?.seccompProfile === undefined);
  if (silent.length === 0) return undefined;
  const wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
  return { reason, detail: `pod or ${containersText(silent)} ${wanted}` };
};

const overrides = ['seccompProfile_baseline'];

/** System call filters: not switched off at baseline, asked for at restricted. */
export const seccompChecks: readonly Check[] = [
  {
    id: 'seccompProfile_baseline',
    level: 'baseline',
    versions: [
      { from: 0, check: annotated },
      { from: 19, check: explicit },
    ],
  },
  {
    id: 'seccompProfile_restricted',
    level: 'restricted',
    versions: [
      { from: 19, check: demanded, overrides },
      { from: 25, check: unless(isWindows, demanded), overrides },
    ],
  },
];
