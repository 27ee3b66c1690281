// Volume sources that pods and persistent volumes share: network disks of all sorts.
import type { PersistentVolumeSpec, Volume } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import { at, type Causes, checkDnsLabel, oneOf, required } from './checks.ts';

type Source = Partial<Volume> | Partial<PersistentVolumeSpec>;
type Fields = Record<string, unknown>;

/** Text fields that a source may not lack. */
const REQUIRED: Record<string, readonly string[]> = {
  gcePersistentDisk: ['pdName'],
  awsElasticBlockStore: ['volumeID'],
  nfs: ['server', 'path'],
  iscsi: ['targetPortal', 'iqn'],
  glusterfs: ['endpoints', 'path'],
  rbd: ['monitors', 'image'],
  cinder: ['volumeID'],
  cephfs: ['monitors'],
  quobyte: ['registry', 'volume'],
  flexVolume: ['driver'],
  azureFile: ['secretName', 'shareName'],
  vsphereVolume: ['volumePath'],
  photonPersistentDisk: ['pdID'],
  portworxVolume: ['volumeID'],
  azureDisk: ['diskName', 'diskURI'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  storageos: ['volumeName'],
};

const IQN = /^iqn\.\d{4}-\d{2}\.([A-Za-z0-9.\-_]+)(:[^,;*&$|\s]+)$/;
const iscsiName = (out: Causes, path: string, name: string): void => {
  const valid = name.startsWith('iqn')
    ? IQN.test(name)
    : /^eui\.[A-Fa-f0-9]{16}$/.test(name) || /^naa\.[A-Fa-f0-9]{16}([A-Fa-f0-9]{16})?$/.test(name);
  if (!valid) out.push(cause.invalid(path, name, 'must be valid format starting with iqn, eui, or naa'));
};

const checkIscsi = (out: Causes, path: string, iscsi: NonNullable<Volume['iscsi']>): void => {
  if (iscsi.iqn) iscsiName(out, `${path}.iqn`, iscsi.iqn);
  const lun = iscsi.lun ?? 0;
  if (lun < 0 || lun > 255) out.push(cause.invalid(`${path}.lun`, lun, 'must be between 0 and 255, inclusive'));
  if ((iscsi.chapAuthDiscovery || iscsi.chapAuthSession) && !iscsi.secretRef)
    out.push(cause.required(`${path}.secretRef`));
  if (iscsi.initiatorName !== undefined) iscsiName(out, `${path}.initiatorname`, iscsi.initiatorName);
};

const checkFc = (out: Causes, path: string, fc: NonNullable<Volume['fc']>): void => {
  const targets = fc.targetWWNs?.length ?? 0;
  const ids = fc.wwids?.length ?? 0;
  const where = `${path}.targetWWNs`;
  if (!targets && !ids) out.push(cause.required(where, 'must specify either targetWWNs or wwids, but not both'));
  if (targets && ids) {
    out.push(cause.invalid(where, fc.targetWWNs, 'targetWWNs and wwids can not be specified simultaneously'));
  }
  if (!targets) return;
  if (fc.lun === undefined) out.push(cause.required(`${path}.lun`, 'lun is required if targetWWNs is specified'));
  else if (fc.lun < 0 || fc.lun > 255) {
    out.push(cause.invalid(`${path}.lun`, fc.lun, 'must be between 0 and 255, inclusive'));
  }
};

const checkAzureDisk = (out: Causes, path: string, disk: NonNullable<Volume['azureDisk']>): void => {
  oneOf(out, `${path}.cachingMode`, disk.cachingMode, ['None', 'ReadOnly', 'ReadWrite']);
  oneOf(out, `${path}.kind`, disk.kind, ['Dedicated', 'Managed', 'Shared']);
  const prefix = disk.kind === 'Managed' ? '/subscriptions/' : 'https://';
  const uri = disk.diskURI ?? '';
  if (disk.kind !== undefined && !uri.startsWith(prefix))
    out.push(cause.notSupported(`${path}.diskURI`, uri, [prefix]));
};

const checkFlex = (out: Causes, path: string, options: Record<string, string> | undefined): void => {
  for (const key in options) {
    const namespace = `.${(key.split('/')[0] ?? '').toLowerCase()}`;
    if (!namespace.endsWith('.kubernetes.io') && !namespace.endsWith('.k8s.io')) continue;
    out.push(cause.invalid(at(`${path}.options`, key), key, 'kubernetes.io and k8s.io namespaces are reserved'));
  }
};

const checkFlocker = (out: Causes, path: string, flocker: NonNullable<Volume['flocker']>): void => {
  if (!flocker.datasetName && !flocker.datasetUUID) {
    out.push(cause.required(path, 'one of datasetName and datasetUUID is required'));
  }
  if (flocker.datasetName && flocker.datasetUUID) {
    out.push(cause.invalid(path, 'resource', 'datasetName and datasetUUID can not be specified simultaneously'));
  }
  if (flocker.datasetName?.includes('/')) {
    out.push(cause.invalid(`${path}.datasetName`, flocker.datasetName, "must not contain '/'"));
  }
};

const checkQuobyte = (
  out: Causes,
  path: string,
  { registry = '', tenant = '' }: { registry?: string; tenant?: string },
) => {
  if (registry && tenant.length >= 65)
    out.push(cause.required(`${path}.tenant`, 'must be a UUID and may not exceed a length of 64 characters'));
  else if (registry)
    for (const pair of registry.split(','))
      if (!/^(\[[^[\]]*\]|[^:[\]]*):[^:]*$/.test(pair))
        out.push(cause.invalid(`${path}.registry`, registry, 'must be host:port pairs separated by commas'));
};

const checkSecretName = (out: Causes, path: string, source: Fields): void => {
  const ref = source.secretRef as { name?: string } | undefined;
  if (ref) required(out, `${path}.secretRef.name`, ref.name);
};

const checkPartition = (out: Causes, path: string, partition: unknown): void => {
  if (typeof partition !== 'number' || (partition >= 0 && partition <= 255)) return;
  out.push(cause.invalid(`${path}.partition`, partition, 'must be between 0 and 255, inclusive'));
};

/** Rules of the one network source in `volume`; nothing happens where it has none. */
export const checkNetworkSource = (out: Causes, path: string, volume: Source): void => {
  const name = Object.keys(volume).find((key) => key in REQUIRED || key === 'fc' || key === 'flocker');
  if (!name) return;
  const source = (volume as Fields)[name] as Fields;
  for (const field of REQUIRED[name] ?? []) {
    const value = source[field];
    if (value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)) {
      out.push(cause.required(`${path}.${field}`));
    }
  }
  if (volume.nfs && !volume.nfs.path?.startsWith('/')) {
    out.push(cause.invalid(`${path}.path`, volume.nfs.path ?? '', 'must be an absolute path'));
  }
  if (volume.iscsi) checkIscsi(out, path, volume.iscsi as NonNullable<Volume['iscsi']>);
  if (volume.fc) checkFc(out, path, volume.fc);
  if (volume.azureDisk) checkAzureDisk(out, path, volume.azureDisk);
  if (volume.flexVolume) checkFlex(out, path, volume.flexVolume.options);
  if (volume.quobyte) checkQuobyte(out, path, volume.quobyte);
  if (volume.glusterfs && 'endpointsNamespace' in volume.glusterfs)
    checkDnsLabel(out, `${path}.endpointsNamespace`, String(source.endpointsNamespace ?? ''));
  if (volume.storageos?.volumeNamespace)
    checkDnsLabel(out, `${path}.volumeNamespace`, volume.storageos.volumeNamespace);
  if (volume.flocker) checkFlocker(out, path, volume.flocker);
  if (name === 'gcePersistentDisk' || name === 'awsElasticBlockStore') checkPartition(out, path, source.partition);
  if (name === 'cinder' || name === 'storageos') checkSecretName(out, path, source);
  if (volume.storageos?.volumeName) checkDnsLabel(out, `${path}.volumeName`, volume.storageos.volumeName);
};
