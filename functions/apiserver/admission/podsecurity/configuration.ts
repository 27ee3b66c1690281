import * as z from 'zod';
import { dns1123Label, dns1123Subdomain } from '../../../machinery/names.ts';
import type { PodSecurityOptions } from './podsecurity.ts';
import { type LevelVersion, levelOf, levels, type Policy, versionOf } from './policy.ts';

const text = z.string().default('');
const texts = z
  .array(z.string())
  .nullish()
  .transform((list) => list ?? []);
const modes = ['enforce', 'audit', 'warn'] as const;
const levelsOfModes = Object.fromEntries(modes.map((mode) => [mode, text])) as Record<
  (typeof modes)[number],
  typeof text
>;
const versionsOfModes = Object.fromEntries(modes.map((mode) => [`${mode}-version`, text])) as Record<
  `${(typeof modes)[number]}-version`,
  typeof text
>;
const GROUP = 'pod-security.admission.config.k8s.io';
const shape = z.strictObject({
  apiVersion: z.enum([`${GROUP}/v1`, `${GROUP}/v1beta1`, `${GROUP}/v1alpha1`]),
  kind: z.literal('PodSecurityConfiguration'),
  defaults: z.strictObject({ ...levelsOfModes, ...versionsOfModes }).prefault({}),
  exemptions: z.strictObject({ usernames: texts, namespaces: texts, runtimeClasses: texts }).prefault({}),
});

type Fault = (path: string, value: string, why: string) => never;

const checkEach = (fault: Fault, path: string, values: readonly string[], check: (value: string) => string[]): void => {
  for (const [i, value] of values.entries()) {
    const why = check(value);
    if (why.length > 0) fault(`${path}[${i}]`, value, why.join(', '));
    if (values.indexOf(value) < i) fault(`${path}[${i}]`, value, 'it stands there twice');
  }
};

/**
 * PodSecurityConfiguration of pod-security.admission.config.k8s.io: what holds where a namespace has no labels, and whom
 * it is not for. What is left out is `privileged` and `latest`. Throws an Error that names the field, below `at`.
 */
export const parsePodSecurity = (document: unknown, at = ''): PodSecurityOptions => {
  const below = (path: string): string => [at, path].filter((part) => part !== '').join('.');
  const read = shape.safeParse(document);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new Error(`${below((issue?.path ?? []).join('.'))}: ${issue?.message ?? ''}`);
  }
  const fault: Fault = (path, value, why) => {
    throw new Error(`${below(path)}: Invalid value: ${JSON.stringify(value)}: ${why}`);
  };
  const { defaults, exemptions } = read.data;
  const of = (mode: (typeof modes)[number]): LevelVersion => {
    const [levelText, versionText] = [defaults[mode] || 'privileged', defaults[`${mode}-version`] || 'latest'];
    const level = levelOf(levelText) ?? fault(`defaults.${mode}`, levelText, `must be one of ${levels.join(', ')}`);
    const version =
      versionOf(versionText) ?? fault(`defaults.${mode}-version`, versionText, 'must be "latest" or "v1.x"');
    return { level, version };
  };
  const policy: Policy = { enforce: of('enforce'), audit: of('audit'), warn: of('warn') };
  checkEach(fault, 'exemptions.namespaces', exemptions.namespaces, dns1123Label);
  checkEach(fault, 'exemptions.runtimeClasses', exemptions.runtimeClasses, dns1123Subdomain);
  checkEach(fault, 'exemptions.usernames', exemptions.usernames, (name) =>
    name === '' ? ['username must not be empty'] : [],
  );
  return { defaults: policy, exemptions };
};
