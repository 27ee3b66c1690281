import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { milliValue, quantityValue } from '../functions/machinery/quantity.ts';

export interface DownwardFacts {
  podIPs: string[];
  hostIPs: string[];
  nodeName: string;
}

const quoted = (map: Record<string, string> | undefined): string =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');

/** A fieldRef of the downward API: `metadata.labels['x']`, `status.podIP`. Unknown paths are refused by validation; '' here. */
export const fieldValue = (pod: Pod, path: string, facts: DownwardFacts): string => {
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (subscript) return pod.metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2] ?? ''] ?? '';
  const values: Record<string, string | undefined> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'metadata.labels': quoted(pod.metadata.labels),
    'metadata.annotations': quoted(pod.metadata.annotations),
    'spec.nodeName': pod.spec?.nodeName ?? facts.nodeName,
    'spec.serviceAccountName': pod.spec?.serviceAccountName,
    'status.hostIP': facts.hostIPs[0],
    'status.hostIPs': facts.hostIPs.join(','),
    'status.podIP': facts.podIPs[0] ?? pod.status?.podIP,
    'status.podIPs': facts.podIPs.join(',') || (pod.status?.podIPs ?? []).map((p) => p.ip).join(','),
  };
  return values[path] ?? '';
};

/** A resourceFieldRef: the container's limit or request divided by the divisor, rounded up; an absent limit is the node's. */
export const resourceFieldValue = (
  container: SpecContainer,
  ref: { resource: string; divisor?: string },
  allocatable: Record<string, string>,
): string => {
  const [side, ...rest] = ref.resource.split('.');
  const name = rest.join('.');
  const own = side === 'limits' ? container.resources?.limits?.[name] : container.resources?.requests?.[name];
  const text = own ?? (side === 'limits' ? allocatable[name] : undefined) ?? '0';
  const divisor = ref.divisor && milliValue(ref.divisor) !== 0 ? ref.divisor : '1';
  const value = name === 'cpu' ? milliValue(text) / milliValue(divisor) : quantityValue(text) / quantityValue(divisor);
  return String(Math.ceil(value));
};
