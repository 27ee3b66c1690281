// What a client is told about a pod spec that is accepted: deprecated fields, duplicates, values that mean something else.
import type { Affinity, NodeSelectorTerm, PodAffinityTerm, PodSpec } from '../../../machinery/kinds.d.ts';
import { parseQuantity } from '../../../machinery/quantity.ts';
import { at } from '../checks.ts';
import { ipWarnings } from '../ip-warnings.ts';
import { portWarnings } from './port-warnings.ts';
import { eachContainer } from './security.ts';

type Warn = (text: string) => void;

const OLD_LABELS: Record<string, string> = {
  'beta.kubernetes.io/arch': 'kubernetes.io/arch',
  'beta.kubernetes.io/os': 'kubernetes.io/os',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
};
const OLD_VOLUMES: Record<string, string> = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
};

/** What is said of a node label that has a newer name; undefined of any other. */
export const oldLabel = (key: string): string | undefined => {
  const now = OLD_LABELS[key];
  return now && `deprecated since v1.14; use "${now}" instead`;
};

/** Amounts of bytes that are no whole number. */
export const fractionWarnings = (
  path: string,
  list: Record<string, string> | undefined,
  names: readonly string[],
): string[] =>
  names.flatMap((name) => {
    const value = list?.[name];
    if (value === undefined || parseQuantity(value).nano % 1_000_000_000n === 0n) return [];
    return [`${at(path, name)}: fractional byte value "${value}" is invalid, must be an integer`];
  });

/** Old labels in a term of a node selector. */
export const nodeTermWarnings = (path: string, term: NodeSelectorTerm | undefined): string[] =>
  (term?.matchExpressions ?? []).flatMap(({ key }, i) => {
    const old = oldLabel(key);
    return old ? [`${at(`${path}.matchExpressions`, i)}.key: ${key} is ${old}`] : [];
  });

const aboutTerm = (warn: Warn, path: string, term: NodeSelectorTerm | undefined): void =>
  nodeTermWarnings(path, term).forEach(warn);

const aboutPodTerm = (warn: Warn, path: string, term: PodAffinityTerm | undefined): void => {
  if (term && !term.labelSelector) warn(`${path}.labelSelector: a null labelSelector results in matching no pod`);
};

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';

const aboutAffinity = (warn: Warn, path: string, affinity: Affinity | undefined): void => {
  const node = affinity?.nodeAffinity;
  node?.[REQUIRED]?.nodeSelectorTerms?.forEach((term, i) => {
    aboutTerm(warn, at(`${path}.nodeAffinity.${REQUIRED}.nodeSelectorTerms`, i), term);
  });
  node?.[PREFERRED]?.forEach((term, i) => {
    aboutTerm(warn, `${at(`${path}.nodeAffinity.${PREFERRED}`, i)}.preference`, term.preference);
  });
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    affinity?.[kind]?.[REQUIRED]?.forEach((term, i) => {
      aboutPodTerm(warn, at(`${path}.${kind}.${REQUIRED}`, i), term);
    });
    affinity?.[kind]?.[PREFERRED]?.forEach((term, i) => {
      aboutPodTerm(warn, `${at(`${path}.${kind}.${PREFERRED}`, i)}.podAffinityTerm`, term.podAffinityTerm);
    });
  }
};

const aboutPlacement = (warn: Warn, path: string, spec: PodSpec): void => {
  for (const key in spec.nodeSelector) {
    const old = oldLabel(key);
    if (old) warn(`${at(`${path}.nodeSelector`, key)}: ${old}`);
  }
  aboutAffinity(warn, `${path}.affinity`, spec.affinity);
  spec.topologySpreadConstraints?.forEach((constraint, i) => {
    const where = at(`${path}.topologySpreadConstraints`, i);
    const old = oldLabel(constraint.topologyKey);
    if (old) warn(`${where}.topologyKey: ${constraint.topologyKey} is ${old}`);
    if (!constraint.labelSelector) warn(`${where}.labelSelector: a null labelSelector results in matching no pod`);
  });
};

const twice = (warn: Warn, path: string, values: readonly string[], what: string, field: string): void => {
  const seen = new Set<string>();
  values.forEach((value, i) => {
    if (seen.has(value)) warn(`${at(path, i)}.${field}: duplicate ${what} "${value}"`);
    seen.add(value);
  });
};

const aboutLists = (warn: Warn, path: string, spec: PodSpec): void => {
  const aliases = (spec.hostAliases ?? []).map((alias) => alias.ip);
  twice(warn, `${path}.hostAliases`, aliases, 'ip', 'ip');
  aliases.forEach((ip, i) => {
    ipWarnings(`${at(`${path}.hostAliases`, i)}.ip`, ip).forEach(warn);
  });
  const secrets = (spec.imagePullSecrets ?? []).map((secret) => secret.name ?? '');
  twice(warn, `${path}.imagePullSecrets`, secrets, 'name', 'name');
  secrets.forEach((name, i) => {
    if (!name) warn(`${at(`${path}.imagePullSecrets`, i)}.name: invalid empty name ""`);
  });
  spec.dnsConfig?.nameservers?.forEach((ip, i) => {
    ipWarnings(at(`${path}.dnsConfig.nameservers`, i), ip).forEach(warn);
  });
};

const BYTES = ['memory', 'ephemeral-storage'];

const aboutContainers = (warn: Warn, path: string, spec: PodSpec): void =>
  eachContainer(spec, path, (container, where) => {
    for (const part of ['limits', 'requests'] as const)
      fractionWarnings(`${where}.resources.${part}`, container.resources?.[part], BYTES).forEach(warn);
    const names = new Set<string>();
    container.env?.forEach((variable, i) => {
      const { name, value = '', valueFrom } = variable;
      const itself = `$(${name})`;
      if (names.has(name) && (valueFrom || value === itself || !value.includes(itself)))
        warn(`${at(`${where}.env`, i)}: hides previous definition of "${name}", which may be dropped when using apply`);
      names.add(name);
    });
  });

/** Warnings of a pod spec at `path`. */
export const podWarnings = (spec: PodSpec, path = 'spec'): string[] => {
  const out: string[] = [];
  const warn = (text: string) => void out.push(text);
  aboutPlacement(warn, path, spec);
  spec.volumes?.forEach((volume, i) => {
    for (const name in OLD_VOLUMES) {
      if ((volume as unknown as Record<string, unknown>)[name])
        warn(`${at(`${path}.volumes`, i)}.${name}: ${OLD_VOLUMES[name]}`);
    }
    const claim = volume.ephemeral?.volumeClaimTemplate?.spec?.resources?.requests;
    const where = `${at(`${path}.volumes`, i)}.ephemeral.volumeClaimTemplate.spec.resources.requests`;
    fractionWarnings(where, claim, ['storage']).forEach(warn);
  });
  aboutLists(warn, path, spec);
  fractionWarnings(`${path}.overhead`, spec.overhead, BYTES).forEach(warn);
  aboutContainers(warn, path, spec);
  out.push(...portWarnings(spec, path));
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    warn(`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`);
  }
  return out;
};
