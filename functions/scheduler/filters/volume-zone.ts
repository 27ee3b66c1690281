import { keyOf } from '../../machinery/object.ts';
import { claimNames } from '../claims.ts';
import { type Filter, type NodeInfo, PASSES } from '../framework.ts';

const current: Record<string, string> = {
  'topology.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region': 'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
};
const KEYS = Object.keys(current);
const REFUSED = [{ reason: 'node(s) had no available volume zone', resolvable: false }];

type Wanted = { key: string; values: ReadonlySet<string> }[];

const zoneOf = (node: NodeInfo, key: string): string | undefined =>
  node.labels[key] ?? node.labels[current[key] ?? key];

/** VolumeZone: zone and region labels of volumes in use (several values are joined by `__`) hold for the node. */
export const volumeZone: Filter<Wanted> = {
  name: 'VolumeZone',
  prepare: ({ pod }, { objects }) => {
    const wanted: Wanted = [];
    for (const name of claimNames(pod)) {
      const claim = objects.claims.get(keyOf(pod.metadata.namespace, name));
      const labels = objects.volumes.get(claim?.spec?.volumeName ?? '')?.metadata.labels ?? {};
      for (const key of KEYS) {
        const label = labels[key];
        if (label) wanted.push({ key, values: new Set(label.split('__')) });
      }
    }
    return wanted.length > 0 ? wanted : undefined;
  },
  check: (wanted, node) => {
    if (KEYS.every((key) => node.labels[key] === undefined)) return PASSES;
    return wanted.every(({ key, values }) => values.has(zoneOf(node, key) ?? '')) ? PASSES : REFUSED;
  },
};
