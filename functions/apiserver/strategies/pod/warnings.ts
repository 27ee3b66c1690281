import type { PodSpec } from '../../../machinery/kinds.d.ts';
import { parseQuantity } from '../../../machinery/quantity.ts';
import { at } from '../checks.ts';
import { familyOf } from '../ip.ts';
import { eachContainer } from './security.ts';

const OLD_LABELS: Record<string, string> = {
  'beta.kubernetes.io/arch': 'kubernetes.io/arch',
  'beta.kubernetes.io/os': 'kubernetes.io/os',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'beta.kubernetes.io/instance-type': 'node.kubernetes.io/instance-type',
};
const OLD_VOLUMES: Record<string, string> = {
  gitRepo: 'deprecated in v1.11',
  scaleIO: 'deprecated in v1.16',
  flexVolume: 'deprecated, use a CSI driver',
  storageos: 'deprecated in v1.22',
  quobyte: 'deprecated in v1.22',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
};

const fractions = (warn: (text: string) => void, path: string, list: Record<string, string> | undefined): void => {
  for (const name of ['memory', 'ephemeral-storage']) {
    const value = list?.[name];
    if (value !== undefined && parseQuantity(value).nano % 1_000_000_000n !== 0n) {
      warn(`${at(path, name)}: fractional byte value "${value}" is invalid, must be an integer`);
    }
  }
};

const checkPorts = (warn: (text: string) => void, path: string, spec: PodSpec): void => {
  const names = new Map<string, string>();
  const numbers = new Map<string, string>();
  spec.containers?.forEach((c, i) => {
    c.ports?.forEach((port, n) => {
      const where = at(`${at(`${path}.containers`, i)}.ports`, n);
      const number = `${port.containerPort}/${port.protocol}`;
      const twin = numbers.get(number);
      const hosted = port.hostPort ? `/${port.hostPort}${port.hostIP ?? ''}` : '';
      if (twin?.startsWith(`${i}|`) && twin.endsWith(`|${hosted}`)) {
        warn(`${where}: duplicate port definition with ${twin.split('|')[1]}`);
      }
      numbers.set(number, `${i}|${where}|${hosted}`);
      if (port.name && names.has(port.name)) warn(`${where}.name: duplicate port name with ${names.get(port.name)}`);
      if (port.name) names.set(port.name, where);
      if (port.hostIP && !familyOf(port.hostIP))
        warn(`${where}.hostIP: non-standard IP address will be considered invalid`);
    });
  });
};

/** Warnings of a pod spec: deprecated fields, duplicates, and values that do not mean what they seem to. */
export const podWarnings = (spec: PodSpec, path = 'spec'): string[] => {
  const out: string[] = [];
  const warn = (text: string) => void out.push(text);
  for (const key in spec.nodeSelector) {
    const now = OLD_LABELS[key];
    if (now) warn(`${at(`${path}.nodeSelector`, key)}: deprecated since v1.14; use "${now}" instead`);
  }
  spec.volumes?.forEach((volume, i) => {
    for (const name in OLD_VOLUMES) {
      if ((volume as unknown as Record<string, unknown>)[name])
        warn(`${at(`${path}.volumes`, i)}.${name}: ${OLD_VOLUMES[name]}`);
    }
  });
  spec.imagePullSecrets?.forEach((secret, i) => {
    if (!secret.name) warn(`${at(`${path}.imagePullSecrets`, i)}: invalid empty name ""`);
  });
  const aliases = new Map<string, number>();
  spec.hostAliases?.forEach((alias, i) => {
    const where = at(`${path}.hostAliases`, i);
    if (aliases.has(alias.ip))
      warn(`${where}.ip: duplicate ip with ${at(`${path}.hostAliases`, aliases.get(alias.ip) ?? 0)}`);
    aliases.set(alias.ip, i);
  });
  eachContainer(spec, path, (c, where) => {
    fractions(warn, `${where}.resources.requests`, c.resources?.requests);
    fractions(warn, `${where}.resources.limits`, c.resources?.limits);
    const names = new Map<string, string>();
    c.env?.forEach((variable, i) => {
      const before = names.get(variable.name);
      if (before !== undefined && before !== variable.value && !variable.value?.includes(`$(${variable.name})`)) {
        warn(
          `${at(`${where}.env`, i)}: hides previous definition of "${variable.name}", which may be dropped when using apply`,
        );
      }
      names.set(variable.name, variable.value ?? '');
    });
  });
  checkPorts(warn, path, spec);
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) {
    warn(`${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`);
  }
  return out;
};
