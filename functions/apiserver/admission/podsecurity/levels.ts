import { appArmorChecks } from './apparmor.ts';
import { capabilityChecks } from './capabilities.ts';
import type { Check, CheckedPod, CheckPod, Violation } from './check.ts';
import { hostChecks } from './host.ts';
import type { LevelVersion } from './policy.ts';
import { privilegeChecks } from './privileges.ts';
import { procMountChecks } from './proc-mount.ts';
import { seccompChecks } from './seccomp.ts';
import { seLinuxChecks } from './selinux.ts';
import { sysctlChecks } from './sysctls.ts';
import { userChecks } from './users.ts';
import { volumeChecks } from './volumes.ts';

const byId = (a: Check, b: Check): number => (a.id < b.id ? -1 : 1);

const checks: readonly Check[] = [
  ...appArmorChecks,
  ...capabilityChecks,
  ...hostChecks,
  ...privilegeChecks,
  ...procMountChecks,
  ...seLinuxChecks,
  ...seccompChecks,
  ...sysctlChecks,
  ...userChecks,
  ...volumeChecks,
];
const baseline = checks.filter((check) => check.level === 'baseline').sort(byId);
const restricted = checks.filter((check) => check.level === 'restricted').sort(byId);

/** The newest version that changes anything; later ones, and `latest`, are the same. */
const newest = Math.max(...checks.flatMap(({ versions }) => versions.map(({ from }) => from)));

const formAt = (check: Check, minor: number) => check.versions.findLast(({ from }) => from <= minor);

/** Baseline checks first, each group by id: the order in which violations are told. */
const checksOf = (level: 'baseline' | 'restricted', minor: number): CheckPod[] => {
  const strict = level === 'restricted' ? restricted.map((check) => formAt(check, minor)) : [];
  const overridden = new Set(strict.flatMap((form) => form?.overrides ?? []));
  const plain = baseline.filter((check) => !overridden.has(check.id)).map((check) => formAt(check, minor));
  return [...plain, ...strict].flatMap((form) => (form ? [form.check] : []));
};

const known = new Map<string, readonly CheckPod[]>();

/** What a level of the Pod Security Standards has against a pod. */
export const violations = ({ level, version }: LevelVersion, pod: CheckedPod): Violation[] => {
  if (level === 'privileged') return [];
  const minor = version === 'latest' ? newest : Math.min(version, newest);
  const key = `${level}:${minor}`;
  let list = known.get(key);
  if (!list) {
    list = checksOf(level, minor);
    known.set(key, list);
  }
  return list.flatMap((check) => check(pod) ?? []);
};

/** `host namespaces (hostPID=true), privileged (...)`. */
export const detailText = (found: readonly Violation[]): string =>
  found.map(({ reason, detail }) => (detail ? `${reason} (${detail})` : reason)).join(', ');

/** `host namespaces, privileged`. */
export const reasonText = (found: readonly Violation[]): string => found.map(({ reason }) => reason).join(', ');
