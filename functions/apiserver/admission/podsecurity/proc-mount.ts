import {
  type Check,
  type CheckedPod,
  containersOf,
  containersText,
  inUserNamespace,
  named,
  quoted,
  sorted,
  unless,
  type Violation,
} from './check.ts';

const procMount = (pod: CheckedPod): Violation | undefined => {
  const isOdd = (type: string | undefined): type is string => type !== undefined && type !== 'Default';
  const names = named(pod, ({ securityContext }) => isOdd(securityContext?.procMount));
  if (names.length === 0) return undefined;
  const types = sorted(
    containersOf(pod)
      .map((one) => one.securityContext?.procMount)
      .filter(isOdd),
  );
  return {
    reason: 'procMount',
    detail: `${containersText(names)} must not set securityContext.procMount to ${quoted(types)}`,
  };
};

/** The masks over /proc stay; since 1.35 baseline lets pods in user namespaces take them off. KEP-4265. */
export const procMountChecks: readonly Check[] = [
  {
    id: 'procMount',
    level: 'baseline',
    versions: [
      { from: 0, check: procMount },
      { from: 35, check: unless(inUserNamespace, procMount) },
    ],
  },
  {
    id: 'procMount_restricted',
    level: 'restricted',
    versions: [{ from: 35, check: procMount, overrides: ['procMount'] }],
  },
];
