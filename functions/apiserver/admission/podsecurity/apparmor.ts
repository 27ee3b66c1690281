import {
  type Check,
  type CheckedPod,
  containersOf,
  containersText,
  named,
  plural,
  quoted,
  sorted,
  type Violation,
} from './check.ts';

const prefix = 'container.apparmor.security.beta.kubernetes.io/';
const isUsual = (profile: string): boolean =>
  profile === '' || profile === 'runtime/default' || profile.startsWith('localhost/');
const isOdd = (type: string | undefined): type is string =>
  type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';

const appArmor = (pod: CheckedPod): Violation | undefined => {
  const ofPod = pod.spec.securityContext?.appArmorProfile?.type;
  const names = named(pod, ({ securityContext }) => isOdd(securityContext?.appArmorProfile?.type));
  const annotations = sorted(
    Object.entries(pod.annotations)
      .filter(([key, profile]) => key.startsWith(prefix) && !isUsual(profile))
      .map(([key, profile]) => `${key}=${JSON.stringify(profile)}`),
  );
  const setters = [
    ...(isOdd(ofPod) ? ['pod'] : []),
    ...(names.length ? [containersText(names)] : []),
    ...(annotations.length ? [plural(annotations.length, 'annotation')] : []),
  ];
  if (setters.length === 0) return undefined;
  const types = [ofPod, ...containersOf(pod).map((one) => one.securityContext?.appArmorProfile?.type)].filter(isOdd);
  const values = [...sorted(types), ...annotations];
  return {
    reason: plural(values.length, 'forbidden AppArmor profile'),
    detail: `${setters.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
  };
};

/** AppArmor profiles, in fields and in the annotations from before them, are not switched off. */
export const appArmorChecks: readonly Check[] = [
  { id: 'appArmorProfile', level: 'baseline', versions: [{ from: 0, check: appArmor }] },
];
