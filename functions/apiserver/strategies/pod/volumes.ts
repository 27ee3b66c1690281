// Volumes of a pod.
import type { ObjectMeta, Volume } from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, checkDnsLabel, invalidEach, oneOf, required } from '../checks.ts';
import { checkClaimTemplate } from '../claim-spec.ts';
import { dnsSubdomain } from '../names.ts';
import { checkNetworkSource } from '../volume-sources.ts';
import { checkMode, descendingPath, noBacksteps, nonReservedPath } from './paths.ts';
import { checkDownwardFile, checkProjected } from './projected.ts';
import { isNegative } from './resources.ts';

/** Where a volume may come from, in the order in which a second one is refused. */
const SOURCES = [
  'emptyDir',
  'hostPath',
  'gitRepo',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'secret',
  'nfs',
  'iscsi',
  'glusterfs',
  'flocker',
  'persistentVolumeClaim',
  'rbd',
  'cinder',
  'cephfs',
  'quobyte',
  'downwardAPI',
  'fc',
  'flexVolume',
  'configMap',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'storageos',
  'projected',
  'scaleIO',
  'csi',
  'ephemeral',
  'image',
] as const satisfies readonly (keyof Volume)[];
/** Upstream's names of two of them where they are one too many. */
const SURPLUS: Readonly<Record<string, string>> = { cephfs: 'cephFS', downwardAPI: 'downwarAPI' };
const HOST_PATH_TYPES = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

interface KeyPath {
  key?: string;
  path?: string;
  mode?: number;
}

/** One entry of `items` in a secret or config map volume. */
export const checkKeyToPath = (out: Causes, path: string, item: KeyPath): void => {
  required(out, `${path}.key`, item.key);
  required(out, `${path}.path`, item.path);
  nonReservedPath(out, `${path}.path`, item.path ?? '');
  checkMode(out, `${path}.mode`, item.mode);
};

/** hostPath, in pods and persistent volumes. */
export const checkHostPath = (out: Causes, path: string, source: { path?: string; type?: string }): void => {
  if (!required(out, `${path}.path`, source.path)) return;
  noBacksteps(out, `${path}.path`, source.path ?? '');
  oneOf(out, `${path}.type`, source.type, HOST_PATH_TYPES);
};

/** The name of a CSI driver: a subdomain of at most 63 characters, in any case. */
export const checkCsiDriver = (out: Causes, path: string, name: string | undefined): void => {
  if (!required(out, path, name)) return;
  if ((name ?? '').length > 63) out.push(cause.tooLong(path, 63));
  invalidEach(out, path, name, dnsSubdomain((name ?? '').toLowerCase()));
};

const checkKeyed = (
  out: Causes,
  path: string,
  name: [field: string, value: string | undefined],
  source: { defaultMode?: number; items?: KeyPath[] },
): void => {
  required(out, `${path}.${name[0]}`, name[1]);
  checkMode(out, `${path}.defaultMode`, source.defaultMode);
  (source.items ?? []).forEach((item, i) => {
    checkKeyToPath(out, at(`${path}.items`, i), item);
  });
};

const checkLocal = (out: Causes, path: string, v: Volume): boolean => {
  if (v.hostPath) checkHostPath(out, path, v.hostPath);
  else if (v.secret) checkKeyed(out, path, ['secretName', v.secret.secretName], v.secret);
  else if (v.configMap) checkKeyed(out, path, ['name', v.configMap.name], v.configMap);
  else if (v.persistentVolumeClaim) required(out, `${path}.claimName`, v.persistentVolumeClaim.claimName);
  else if (v.projected) checkProjected(out, path, v.projected);
  else if (v.downwardAPI) {
    checkMode(out, `${path}.defaultMode`, v.downwardAPI.defaultMode);
    for (const file of v.downwardAPI.items ?? []) checkDownwardFile(out, path, file);
  } else if (v.gitRepo) {
    required(out, `${path}.repository`, v.gitRepo.repository);
    descendingPath(out, `${path}.directory`, v.gitRepo.directory ?? '');
  } else if (v.csi) {
    checkCsiDriver(out, `${path}.driver`, v.csi.driver);
    const secret = v.csi.nodePublishSecretRef;
    if (secret && required(out, `${path}.nodePublishSecretRef.name`, secret.name)) {
      invalidEach(out, `${path}.name`, secret.name, dnsSubdomain(secret.name ?? ''));
    }
  } else return false;
  return true;
};

const checkImage = (out: Causes, path: string, v: Volume): void => {
  required(out, `${path}.reference`, v.image?.reference);
  oneOf(out, `${path}.pullPolicy`, v.image?.pullPolicy, ['Always', 'IfNotPresent', 'Never']);
};

const checkEphemeral = (out: Causes, path: string, v: Volume, pod: ObjectMeta | undefined): void => {
  const template = v.ephemeral?.volumeClaimTemplate;
  const where = `${path}.ephemeral.volumeClaimTemplate`;
  if (!template) out.push(cause.required(where));
  else checkClaimTemplate(out, where, template);
  if (!pod?.name || !v.name) return;
  const claim = `${pod.name}-${v.name}`;
  const messages = dnsSubdomain(claim).map((message) => `PVC name "${claim}": ${message}`);
  invalidEach(out, `${path}.name`, v.name, messages);
};

const checkSource = (out: Causes, path: string, v: Volume, pod: ObjectMeta | undefined): void => {
  let count = 0;
  for (const name of SOURCES) {
    if (v[name] === undefined) continue;
    const where = `${path}.${name}`;
    if (count++ > 0) {
      out.push(cause.forbidden(`${path}.${SURPLUS[name] ?? name}`, 'may not specify more than 1 volume type'));
      continue;
    }
    const only = { name: v.name, [name]: v[name] } as Volume;
    if (name === 'emptyDir') {
      const limit = v.emptyDir?.sizeLimit;
      if (limit !== undefined && isNegative(limit)) {
        out.push(cause.forbidden(`${where}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
      }
    } else if (name === 'ephemeral') checkEphemeral(out, path, v, pod);
    else if (name === 'image') checkImage(out, where, v);
    else if (!checkLocal(out, where, only))
      checkNetworkSource(out, name === 'gcePersistentDisk' ? `${path}.persistentDisk` : where, only);
  }
  const { iscsi } = v;
  if (iscsi?.initiatorName !== undefined && `${v.name}:${iscsi.targetPortal}`.length > 64) {
    out.push(cause.invalid(`${path}.name`, v.name, 'the volume name and targetPortal are too long together'));
  }
  if (count === 0) out.push(cause.required(path, 'must specify a volume type'));
};

/** Checks the volumes; returns the valid ones by name, which is what mounts may refer to. */
export const checkVolumes = (
  out: Causes,
  path: string,
  volumes: readonly Volume[] | undefined,
  pod: ObjectMeta | undefined,
): Map<string, Volume> => {
  const valid = new Map<string, Volume>();
  const created = new Set<string>();
  if (pod?.name) for (const v of volumes ?? []) if (v.ephemeral) created.add(`${pod.name}-${v.name}`);
  volumes?.forEach((v, i) => {
    const where = at(path, i);
    const before = out.length;
    checkSource(out, where, v, pod);
    if (required(out, `${where}.name`, v.name)) checkDnsLabel(out, `${where}.name`, v.name);
    if (valid.has(v.name)) out.push(cause.duplicate(`${where}.name`, v.name));
    if (out.length === before) valid.set(v.name, v);
    const claim = v.persistentVolumeClaim?.claimName;
    if (claim && created.has(claim)) {
      const detail = 'must not reference a PVC that gets created for an ephemeral volume';
      out.push(cause.invalid(`${where}.persistentVolumeClaim.claimName`, claim, detail));
    }
  });
  return valid;
};
