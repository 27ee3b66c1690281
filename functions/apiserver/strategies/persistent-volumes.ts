// PersistentVolumes and PersistentVolumeClaims.
import type { PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec } from '../../machinery/kinds.d.ts';
import { compareQuantity, signOf } from '../../machinery/quantity.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, checkDnsLabel, checkSubdomain, immutable, oneOf, required, same } from './checks.ts';
import { checkAccessModes, checkClaimSpec } from './claim-spec.ts';
import { noBacksteps } from './pod/paths.ts';
import { checkNodeSelector } from './pod/scheduling.ts';
import { checkCsiDriver, checkHostPath } from './pod/volumes.ts';
import { checkNetworkSource } from './volume-sources.ts';

const SOURCES = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'glusterfs',
  'flocker',
  'nfs',
  'rbd',
  'quobyte',
  'cephfs',
  'iscsi',
  'cinder',
  'fc',
  'flexVolume',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'scaleIO',
  'local',
  'storageos',
  'csi',
] as const satisfies readonly (keyof PersistentVolumeSpec)[];
const SECRETS = [
  'controllerPublishSecretRef',
  'controllerExpandSecretRef',
  'nodePublishSecretRef',
  'nodeExpandSecretRef',
] as const;

const checkCsi = (out: Causes, path: string, csi: NonNullable<PersistentVolumeSpec['csi']>): void => {
  checkCsiDriver(out, `${path}.driver`, csi.driver);
  required(out, `${path}.volumeHandle`, csi.volumeHandle);
  for (const field of SECRETS) {
    const ref = csi[field];
    if (!ref) continue;
    const where = `${path}.${field}`;
    if (required(out, `${where}.name`, ref.name)) checkSubdomain(out, `${where}.name`, ref.name ?? '');
    if (required(out, `${where}.namespace`, ref.namespace))
      checkDnsLabel(out, `${where}.namespace`, ref.namespace ?? '');
  }
};

const checkSource = (out: Causes, path: string, spec: PersistentVolumeSpec): void => {
  let count = 0;
  for (const name of SOURCES) {
    if (spec[name] === undefined) continue;
    const where = `${path}.${name}`;
    // Upstream counts a flexVolume but never finds it to be one too many.
    if (count++ > 0 && name !== 'flexVolume') {
      const shown = name === 'cephfs' ? 'cephFS' : name;
      out.push(cause.forbidden(`${path}.${shown}`, 'may not specify more than 1 volume type'));
      continue;
    }
    if (spec.hostPath && name === 'hostPath') checkHostPath(out, where, spec.hostPath);
    else if (spec.csi && name === 'csi') checkCsi(out, where, spec.csi);
    else if (name === 'local') {
      if (required(out, `${where}.path`, spec.local?.path)) noBacksteps(out, `${where}.path`, spec.local?.path ?? '');
      if (!spec.nodeAffinity?.required) {
        out.push(cause.required(`${path}.nodeAffinity`, 'Local volume requires node affinity'));
      }
    } else
      checkNetworkSource(out, name === 'gcePersistentDisk' ? `${path}.persistentDisk` : where, { [name]: spec[name] });
  }
  if (count === 0) out.push(cause.required(path, 'must specify a volume type'));
};

const checkCapacity = (out: Causes, capacity: Record<string, string>): void => {
  const path = 'spec.capacity';
  const names = Object.keys(capacity);
  if (names.length === 0) out.push(cause.required(path));
  if (capacity.storage === undefined || names.length > 1) out.push(cause.notSupported(path, capacity, ['storage']));
  for (const name of names) {
    const value = capacity[name] as string;
    if (signOf(value) < 0) out.push(cause.invalid(at(path, name), value, 'must be a valid resource quantity'));
    if (signOf(value) <= 0) out.push(cause.invalid(at(path, name), value, 'must be greater than zero'));
  }
};

/** The spec of a volume inlined in a VolumeAttachment: CSI only, without claim, capacity or class. */
export const checkInlineVolume = (out: Causes, path: string, spec: PersistentVolumeSpec): void => {
  const detail = 'may not be specified in the context of inline volumes';
  for (const field of ['claimRef', 'capacity', 'nodeAffinity', 'storageClassName'] as const) {
    if (spec[field]) out.push(cause.forbidden(`${path}.${field}`, detail));
  }
  if (!spec.csi) out.push(cause.required(`${path}.csi`, 'has to be specified in the context of inline volumes'));
  if (!spec.accessModes?.length) out.push(cause.required(`${path}.accessModes`));
  checkAccessModes(out, `${path}.accessModes`, spec.accessModes);
  checkSource(out, path, spec);
};

const checkVolume: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const spec = (object as PersistentVolume).spec ?? ({} as PersistentVolumeSpec);
  if (!spec.accessModes?.length) out.push(cause.required('spec.accessModes'));
  checkAccessModes(out, 'spec.accessModes', spec.accessModes);
  checkCapacity(out, spec.capacity ?? {});
  const policy = spec.persistentVolumeReclaimPolicy;
  oneOf(out, 'spec.persistentVolumeReclaimPolicy', policy, ['Delete', 'Recycle', 'Retain']);
  if (spec.nodeAffinity) {
    const path = 'spec.nodeAffinity.required';
    if (spec.nodeAffinity.required) checkNodeSelector(out, path, spec.nodeAffinity.required);
    else out.push(cause.required(path, 'must specify required node constraints'));
  }
  checkSource(out, 'spec', spec);
  if (spec.hostPath && /^\/+(\.?\/)*$/.test(`${spec.hostPath.path}/`) && policy === 'Recycle') {
    const detail = "may not be 'recycle' for a hostPath mount of '/'";
    out.push(cause.forbidden('spec.persistentVolumeReclaimPolicy', detail));
  }
  if (spec.storageClassName) checkSubdomain(out, 'spec.storageClassName', spec.storageClassName);
  oneOf(out, 'spec.volumeMode', spec.volumeMode, ['Block', 'Filesystem']);
  const attributes = spec.volumeAttributesClassName;
  if (attributes === undefined) return out;
  const path = 'spec.volumeAttributesClassName';
  if (required(out, path, attributes, 'an empty string is disallowed')) checkSubdomain(out, path, attributes);
  if (!spec.csi) out.push(cause.required('spec.csi', 'has to be specified when using volumeAttributesClassName'));
  return out;
};

const sourceOf = (spec: PersistentVolumeSpec | undefined): Record<string, unknown> =>
  Object.fromEntries(SOURCES.map((name) => [name, spec?.[name]]).filter(([, value]) => value !== undefined));

const checkVolumeUpdate: NonNullable<Strategy['validateUpdate']> = (nextObject, oldObject, ctx) => {
  // Upstream's rules of an update begin with those of the volume once more.
  const out: Causes = checkVolume(nextObject, ctx);
  const next = (nextObject as PersistentVolume).spec;
  const old = (oldObject as PersistentVolume).spec;
  const source = sourceOf(next);
  if (old?.csi && !old.csi.controllerExpandSecretRef && next?.csi?.controllerExpandSecretRef) {
    const { controllerExpandSecretRef: _, ...csi } = next.csi;
    source.csi = csi;
  }
  if (!same(source, sourceOf(old))) {
    const detail = 'spec.persistentvolumesource is immutable after creation';
    out.push(cause.forbidden('spec.persistentvolumesource', detail));
  }
  immutable(out, 'volumeMode', next?.volumeMode, old?.volumeMode);
  if (old?.nodeAffinity) immutable(out, 'nodeAffinity', next?.nodeAffinity, old.nodeAffinity);
  if (old?.volumeAttributesClassName !== undefined && next?.volumeAttributesClassName === undefined) {
    out.push(cause.forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'));
  }
  return out;
};

/** dataSource and dataSourceRef mean the same unless the reference crosses namespaces. */
const alignSources = (claim: PersistentVolumeClaim, inUse?: PersistentVolumeClaim): void => {
  const { spec } = claim;
  if (!spec) return;
  const known = (source: { apiGroup?: string; kind: string }) =>
    (!source.apiGroup && source.kind === 'PersistentVolumeClaim') ||
    (source.apiGroup === 'snapshot.storage.k8s.io' && source.kind === 'VolumeSnapshot');
  // A reference across namespaces is a feature that is off.
  if (spec.dataSourceRef?.namespace && !inUse?.spec?.dataSourceRef) delete spec.dataSourceRef;
  const legacy = !spec.dataSourceRef && !inUse?.spec?.dataSource;
  if (legacy && spec.dataSource && !known(spec.dataSource)) delete spec.dataSource;
  const { dataSource, dataSourceRef } = spec;
  if (dataSource && !dataSourceRef) spec.dataSourceRef = { ...dataSource };
  else if (dataSourceRef && !dataSource && !dataSourceRef.namespace) spec.dataSource = { ...dataSourceRef };
};

const SPEC_STAYS =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
const checkClaimUpdate: NonNullable<Strategy['validateUpdate']> = (nextObject, oldObject) => {
  const out: Causes = [];
  const next = nextObject as PersistentVolumeClaim;
  const old = oldObject as PersistentVolumeClaim;
  const before = { ...old.spec } as NonNullable<PersistentVolumeClaim['spec']>;
  const after = { ...next.spec } as NonNullable<PersistentVolumeClaim['spec']>;
  if (!before.volumeName && after.volumeName) before.volumeName = after.volumeName;
  if (before.storageClassName === undefined && after.storageClassName !== undefined) {
    before.storageClassName = after.storageClassName;
  }
  const oldSize = old.spec?.resources?.requests?.storage ?? '0';
  const newSize = next.spec?.resources?.requests?.storage ?? '0';
  if (next.status?.phase === 'Bound') {
    after.resources = { ...after.resources, requests: { ...after.resources?.requests, storage: oldSize } };
    delete after.volumeAttributesClassName;
    delete before.volumeAttributesClassName;
  }
  // An empty selector selects every volume, and none at all is another thing.
  const selects = (spec: typeof before): boolean => spec.selector !== undefined;
  if (!same(after, before) || selects(after) !== selects(before)) out.push(cause.forbidden('spec', SPEC_STAYS));
  const capacity = old.status?.capacity?.storage ?? '0';
  if (compareQuantity(newSize, oldSize) < 0 && compareQuantity(newSize, capacity) <= 0) {
    out.push(cause.forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  }
  immutable(out, 'volumeMode', next.spec?.volumeMode, old.spec?.volumeMode);
  const path = 'spec.volumeAttributesClassName';
  if (old.status?.currentVolumeAttributesClassName && !next.spec?.volumeAttributesClassName) {
    out.push(
      cause.forbidden(path, 'update to nil is forbidden when status.currentVolumeAttributesClassName is not nil'),
    );
  }
  return out;
};

const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** Strategies by `group/Kind`. */
export const volumeStrategies: Readonly<Record<string, Strategy>> = {
  '/PersistentVolume': {
    prepareForCreate: (object, ctx) => {
      (object as PersistentVolume).status = { phase: 'Pending', lastPhaseTransitionTime: time(ctx.now) };
    },
    prepareForUpdate: (next, old, ctx) => {
      const { status } = next as PersistentVolume;
      const before = (old as PersistentVolume).status;
      if (ctx.subresource !== 'status' || !status) return;
      if (status.phase === before?.phase) {
        if (before?.lastPhaseTransitionTime) status.lastPhaseTransitionTime ??= before.lastPhaseTransitionTime;
        return;
      }
      if (!status.lastPhaseTransitionTime || status.lastPhaseTransitionTime === before?.lastPhaseTransitionTime)
        status.lastPhaseTransitionTime = time(ctx.now);
    },
    validate: checkVolume,
    validateUpdate: checkVolumeUpdate,
  },
  '/PersistentVolumeClaim': {
    prepareForCreate: (object) => {
      const claim = object as PersistentVolumeClaim;
      claim.status = { phase: 'Pending' };
      alignSources(claim);
    },
    prepareForUpdate: (next, old, ctx) => {
      if (ctx.subresource !== '') return;
      alignSources(next as PersistentVolumeClaim, old as PersistentVolumeClaim);
      const { status } = old as PersistentVolumeClaim;
      if (status) (next as PersistentVolumeClaim).status = status;
    },
    validate: (object) => {
      const out: Causes = [];
      checkClaimSpec(out, 'spec', (object as PersistentVolumeClaim).spec ?? {});
      return out;
    },
    validateUpdate: checkClaimUpdate,
  },
};
