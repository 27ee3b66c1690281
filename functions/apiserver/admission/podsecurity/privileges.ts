import {
  type Check,
  type CheckedPod,
  containersText,
  isWindows,
  named,
  settersText,
  unless,
  type Violation,
} from './check.ts';

const privileged = (pod: CheckedPod): Violation | undefined => {
  const names = named(pod, ({ securityContext }) => securityContext?.privileged === true);
  if (names.length === 0) return undefined;
  return { reason: 'privileged', detail: `${containersText(names)} must not set securityContext.privileged=true` };
};

const escalation = (pod: CheckedPod): Violation | undefined => {
  const names = named(pod, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false);
  if (names.length === 0) return undefined;
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${containersText(names)} must set securityContext.allowPrivilegeEscalation=false`,
  };
};

const hostProcess = (pod: CheckedPod): Violation | undefined => {
  const names = named(pod, ({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true);
  const setters = settersText(pod.spec.securityContext?.windowsOptions?.hostProcess === true, names);
  if (setters === undefined) return undefined;
  return { reason: 'hostProcess', detail: `${setters} must not set securityContext.windowsOptions.hostProcess=true` };
};

/** Containers with the node's rights, and those that may gain rights. */
export const privilegeChecks: readonly Check[] = [
  { id: 'privileged', level: 'baseline', versions: [{ from: 0, check: privileged }] },
  { id: 'windowsHostProcess', level: 'baseline', versions: [{ from: 0, check: hostProcess }] },
  {
    id: 'allowPrivilegeEscalation',
    level: 'restricted',
    versions: [
      { from: 8, check: escalation },
      { from: 25, check: unless(isWindows, escalation) },
    ],
  },
];
