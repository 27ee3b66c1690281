import { type Cause, cause } from '../../../machinery/status.ts';

/** How strict, from loose to strict. */
export const levels = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof levels)[number];

/** A level of the standards as of a minor version: `restricted:v1.24`, `baseline:latest`. */
export interface LevelVersion {
  level: Level;
  version: number | 'latest';
}

/** What a namespace asks of its pods: pods that violate `enforce` are refused, the others are noted or warned about. */
export interface Policy {
  enforce: LevelVersion;
  audit: LevelVersion;
  warn: LevelVersion;
}

export const privilegedPolicy: Policy = {
  enforce: { level: 'privileged', version: 'latest' },
  audit: { level: 'privileged', version: 'latest' },
  warn: { level: 'privileged', version: 'latest' },
};

const prefix = 'pod-security.kubernetes.io/';
const modes = ['enforce', 'audit', 'warn'] as const;

export const levelText = ({ level, version }: LevelVersion): string =>
  `${level}:${version === 'latest' ? version : `v1.${version}`}`;

export const isPrivileged = ({ level }: LevelVersion): boolean => level === 'privileged';
export const isFullyPrivileged = ({ enforce, audit, warn }: Policy): boolean =>
  isPrivileged(enforce) && isPrivileged(audit) && isPrivileged(warn);

export const sameLevelVersion = (a: LevelVersion, b: LevelVersion): boolean =>
  a.level === b.level && a.version === b.version;

/** Negative when `a` is looser than `b`. */
export const compareLevels = (a: Level, b: Level): number => levels.indexOf(a) - levels.indexOf(b);

/** Of `latest` or `v1.x`; undefined for other texts. */
export const versionOf = (text: string): number | 'latest' | undefined => {
  if (text === 'latest') return text;
  const match = /^v1\.(0|[1-9][0-9]*)$/.exec(text);
  const minor = Number(match?.[1]);
  return match && Number.isSafeInteger(minor) ? minor : undefined;
};

export const levelOf = (text: string): Level | undefined => levels.find((level) => level === text);

/**
 * The policy that a namespace's labels name, over the cluster's defaults, and what is wrong with them. A wrong enforce
 * level counts as the strictest one, wrong audit and warn levels as none. `warn` follows a stricter `enforce`.
 */
export const policyOf = (
  labels: Readonly<Record<string, string>>,
  defaults: Policy,
): { policy: Policy; causes: Cause[] } => {
  const policy = { enforce: { ...defaults.enforce }, audit: { ...defaults.audit }, warn: { ...defaults.warn } };
  const causes: Cause[] = [];
  const wrong = (label: string, value: string, why: string) =>
    causes.push(cause.invalid(`metadata.labels[${label}]`, value, why));
  let enforces = false;
  for (const mode of modes) {
    const levelText = labels[`${prefix}${mode}`];
    if (levelText !== undefined) {
      const level = levelOf(levelText);
      policy[mode].level = level ?? (mode === 'enforce' ? 'restricted' : 'privileged');
      if (!level) wrong(`${prefix}${mode}`, levelText, `must be one of ${levels.join(', ')}`);
      else if (mode === 'enforce') enforces = true;
    }
    const versionText = labels[`${prefix}${mode}-version`];
    if (versionText !== undefined) {
      const version = versionOf(versionText);
      policy[mode].version = version ?? 'latest';
      if (version === undefined) wrong(`${prefix}${mode}-version`, versionText, 'must be "latest" or "v1.x"');
    }
  }
  if (enforces && labels[`${prefix}warn`] === undefined && compareLevels(policy.enforce.level, policy.warn.level) > 0) {
    policy.warn.level = policy.enforce.level;
    if (labels[`${prefix}warn-version`] === undefined) policy.warn.version = policy.enforce.version;
  }
  return { policy, causes };
};

/** Modes that labels set to something stricter than privileged, for a namespace that is exempt; '' for none. */
export const labelledModes = (labels: Readonly<Record<string, string>>, policy: Policy): string =>
  modes
    .filter((mode) => !isPrivileged(policy[mode]))
    .filter((mode) => `${prefix}${mode}` in labels || `${prefix}${mode}-version` in labels)
    .map((mode) => `${mode}=${levelText(policy[mode])}`)
    .join(', ');

/** Whether labels say anything about pod security. */
export const hasPolicyLabels = (labels: Readonly<Record<string, string>>): boolean => {
  for (const key in labels) if (key.startsWith(prefix)) return true;
  return false;
};
