import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';

type Spec = CustomResourceDefinition['spec'];
type Version = Spec['versions'][number];

const KUBE_VERSION = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/;
const STAGES = ['alpha', 'beta', undefined];

/** Negative where `a` is preferred: stable before beta before alpha, newer before older; other names follow, by name. */
export const comparePreference = (a: string, b: string): number => {
  const [x, y] = [KUBE_VERSION.exec(a), KUBE_VERSION.exec(b)];
  if (!x || !y) return x ? -1 : y ? 1 : a < b ? -1 : Number(a > b);
  const stage = STAGES.indexOf(y[2]) - STAGES.indexOf(x[2]);
  return stage || Number(y[1]) - Number(x[1]) || Number(y[3] ?? 0) - Number(x[3] ?? 0);
};

/** The version that objects are stored in; '' where a definition names none, which validation forbids. */
export const storageVersion = (spec: Spec): string => spec.versions.find((v) => v.storage)?.name ?? '';

/** The warning of a deprecated version: its own, or one that names the version to use instead. */
export const deprecationWarning = (spec: Spec, version: Version): string | undefined => {
  if (!version.deprecated) return undefined;
  if (version.deprecationWarning !== undefined) return version.deprecationWarning;
  const { kind } = spec.names;
  const [instead] = spec.versions
    .filter((v) => v.served && !v.deprecated && comparePreference(v.name, version.name) < 0)
    .map((v) => v.name)
    .sort(comparePreference);
  const text = `${spec.group}/${version.name} ${kind} is deprecated`;
  return instead ? `${text}; use ${spec.group}/${instead} ${kind}` : text;
};
