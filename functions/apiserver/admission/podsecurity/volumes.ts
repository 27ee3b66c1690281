import type { Volume } from '../../../machinery/kinds.d.ts';
import { type Check, type CheckedPod, plural, quoted, sorted, type Violation } from './check.ts';

const allowed = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
] as const;

const others = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'gitRepo',
  'nfs',
  'iscsi',
  'glusterfs',
  'rbd',
  'flexVolume',
  'cinder',
  'cephfs',
  'flocker',
  'fc',
  'azureFile',
  'vsphereVolume',
  'quobyte',
  'azureDisk',
  'photonPersistentDisk',
  'portworxVolume',
  'scaleIO',
  'storageos',
] as const;

const typeOf = (volume: Volume): string => others.find((type) => volume[type] !== undefined) ?? 'unknown';

const volumes = ({ spec }: CheckedPod): Violation | undefined => {
  const odd = (spec.volumes ?? []).filter((volume) => allowed.every((type) => volume[type] === undefined));
  if (odd.length === 0) return undefined;
  const types = sorted(odd.map(typeOf));
  const names = `${plural(odd.length, 'volume')} ${quoted(odd.map((volume) => volume.name))}`;
  const uses = plural(odd.length, 'uses', 'use');
  return {
    reason: 'restricted volume types',
    detail: `${names} ${uses} ${plural(types.length, 'restricted volume type')} ${quoted(types)}`,
  };
};

/** Volumes at restricted: those that a pod's namespace or its claims give it. */
export const volumeChecks: readonly Check[] = [
  {
    id: 'restrictedVolumes',
    level: 'restricted',
    versions: [{ from: 0, check: volumes, overrides: ['hostPathVolumes'] }],
  },
];
