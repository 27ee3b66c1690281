import {
  type Check,
  type CheckedPod,
  containersText,
  inUserNamespace,
  named,
  settersText,
  unless,
  type Violation,
} from './check.ts';

const nonRoot = (pod: CheckedPod): Violation | undefined => {
  const reason = 'runAsNonRoot != true';
  const ofPod = pod.spec.securityContext?.runAsNonRoot;
  const setters = settersText(
    ofPod === false,
    named(pod, ({ securityContext }) => securityContext?.runAsNonRoot === false),
  );
  if (setters !== undefined) return { reason, detail: `${setters} must not set securityContext.runAsNonRoot=false` };
  if (ofPod === true) return undefined;
  const silent = named(pod, ({ securityContext }) => securityContext?.runAsNonRoot === undefined);
  if (silent.length === 0) return undefined;
  return { reason, detail: `pod or ${containersText(silent)} must set securityContext.runAsNonRoot=true` };
};

const user = (pod: CheckedPod): Violation | undefined => {
  const setters = settersText(
    pod.spec.securityContext?.runAsUser === 0,
    named(pod, ({ securityContext }) => securityContext?.runAsUser === 0),
  );
  return setters === undefined ? undefined : { reason: 'runAsUser=0', detail: `${setters} must not set runAsUser=0` };
};

/** Nobody runs as root, but since 1.35 in a user namespace. */
export const userChecks: readonly Check[] = [
  {
    id: 'runAsNonRoot',
    level: 'restricted',
    versions: [
      { from: 0, check: nonRoot },
      { from: 35, check: unless(inUserNamespace, nonRoot) },
    ],
  },
  {
    id: 'runAsUser',
    level: 'restricted',
    versions: [
      { from: 23, check: user },
      { from: 35, check: unless(inUserNamespace, user) },
    ],
  },
];
