// Labels that a node may give itself; all else under kubernetes.io and k8s.io is the cluster's. KEP-279.
const own = new Set([
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'beta.kubernetes.io/os',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'kubernetes.io/arch',
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]);
const ownDomains = ['kubelet.kubernetes.io', 'node.kubernetes.io'];
const restricted = 'node-restriction.kubernetes.io';

const within = (domain: string, parent: string): boolean => domain === parent || domain.endsWith(`.${parent}`);

const isForbidden = (label: string): boolean => {
  const slash = label.indexOf('/');
  const domain = slash < 0 ? '' : label.slice(0, slash);
  if (within(domain, restricted)) return true;
  if (!within(domain, 'kubernetes.io') && !within(domain, 'k8s.io')) return false;
  return !own.has(label) && !ownDomains.some((parent) => within(domain, parent));
};

/** Labels that differ and that a node may not change, in order. */
export const forbiddenLabels = (
  next: Readonly<Record<string, string>> = {},
  old: Readonly<Record<string, string>> = {},
): string[] => {
  const changed = Object.keys({ ...old, ...next }).filter((key) => next[key] !== old[key]);
  return changed.filter(isForbidden).sort();
};
