import type { Container, LimitRange, PersistentVolumeClaim, Pod } from '../../../machinery/kinds.d.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import type { Amounts } from '../../../machinery/quota/amounts.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { refusal } from '../refusal.ts';
import { storedObjects } from '../stored.ts';
import { claimLimitFaults, podLimitFaults } from './constraints.ts';

const annotation = 'kubernetes.io/limit-ranger';

/** Limits and requests that the range gives to containers which say none. */
const defaultsOf = ({ spec }: LimitRange): { requests: Amounts; limits: Amounts } => {
  const items = (spec?.limits ?? []).filter((item) => item.type === 'Container');
  return {
    requests: Object.assign({}, ...items.map((item) => item.defaultRequest)) as Amounts,
    limits: Object.assign({}, ...items.map((item) => item.default)) as Amounts,
  };
};

/** Fills in what is missing; the names that it filled in. */
const filled = (container: Container, side: 'requests' | 'limits', defaults: Amounts): string[] => {
  const given = (container.resources?.[side] ?? {}) as Amounts;
  const missing = Object.keys(defaults).filter((name) => given[name] === undefined);
  if (missing.length === 0) return [];
  const added = Object.fromEntries(missing.map((name) => [name, defaults[name] as string]));
  container.resources = { ...container.resources, [side]: { ...given, ...added } };
  return missing.sort();
};

/** Gives a pod the defaults of a range, and says so in an annotation. */
const applyDefaults = (range: LimitRange, pod: Pod): void => {
  const { requests, limits } = defaultsOf(range);
  const notes: string[] = [];
  const fill = (container: Container, what: string): void => {
    const setLimits = filled(container, 'limits', limits);
    const setRequests = filled(container, 'requests', requests);
    if (setRequests.length) notes.push(`${setRequests.join(', ')} request for ${what} ${container.name}`);
    if (setLimits.length) notes.push(`${setLimits.join(', ')} limit for ${what} ${container.name}`);
  };
  for (const container of pod.spec?.containers ?? []) fill(container, 'container');
  for (const container of pod.spec?.initContainers ?? []) fill(container, 'init container');
  if (notes.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [annotation]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
};

const kindOf = ({ call, operation, subresource, old }: AdmissionRequest): 'pod' | 'claim' | undefined => {
  const { group, resource } = call.resource;
  if (group !== '' || old?.metadata.deletionTimestamp) return undefined;
  if (resource === 'persistentvolumeclaims')
    return subresource === '' && (operation === 'CREATE' || operation === 'UPDATE') ? 'claim' : undefined;
  if (resource !== 'pods') return undefined;
  const resized = operation === 'UPDATE' && subresource === 'resize';
  return resized || (operation === 'CREATE' && subresource === '') ? 'pod' : undefined;
};

const rangesFor = ({ call }: AdmissionRequest): Promise<readonly LimitRange[]> =>
  storedObjects<LimitRange>(call, '', 'limitranges', call.info.namespace);

/** `a`, or `[a, b]` with each once. */
const together = (faults: readonly string[]): string => {
  const once = [...new Set(faults)];
  return once.length === 1 ? (once[0] as string) : `[${once.join(', ')}]`;
};

/** Gives pods the default requests and limits of their namespace, and refuses pods and claims outside of its bounds. */
export const limitRanger: AdmissionPlugin = {
  name: 'LimitRanger',
  about: ['/pods', '/persistentvolumeclaims'],
  admit: async (request) => {
    if (kindOf(request) !== 'pod' || !request.object) return;
    for (const range of await rangesFor(request)) applyDefaults(range, request.object as KubeObject as Pod);
  },
  validate: async (request) => {
    const kind = kindOf(request);
    if (!kind || !request.object) return;
    const object: KubeObject = request.object;
    for (const range of await rangesFor(request)) {
      const faults =
        kind === 'pod'
          ? podLimitFaults(range, object as Pod)
          : claimLimitFaults(range, object as PersistentVolumeClaim);
      if (faults.length > 0) throw refusal(request, together(faults));
    }
  },
};
