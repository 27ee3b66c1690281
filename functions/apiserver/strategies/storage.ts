// storage.k8s.io: classes, drivers, nodes, attachments and capacities.
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkLabelName,
  checkSelector,
  checkSubdomain,
  immutable,
  invalidEach,
  nonNegativeQuantity,
  oneOf,
  required,
  same,
} from './checks.ts';
import { dnsSubdomain, qualifiedName } from './names.ts';
import { checkInlineVolume } from './persistent-volumes.ts';
import { checkCsiDriver } from './pod/volumes.ts';

const PARAMETERS_MAX = 256 * 1024;
const checkParameters = (out: Causes, parameters: Record<string, string> | undefined, needed = false): void => {
  const entries = Object.entries(parameters ?? {});
  if (needed && entries.length === 0)
    out.push(cause.required('parameters', 'must contain at least one key/value pair'));
  if (entries.length > 512) out.push(cause.tooLong('Provisioner Parameters Length', 512));
  let size = 0;
  for (const [key, value] of entries) {
    if (key === '') out.push(cause.invalid('parameters', key, 'field can not be empty.'));
    size += key.length + value.length;
  }
  if (size > PARAMETERS_MAX) out.push(cause.tooLong('parameters', PARAMETERS_MAX));
};

const checkClass: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const storage = object as StorageClass;
  const name = storage.provisioner ?? '';
  if (required(out, 'provisioner', name)) invalidEach(out, 'provisioner', name, qualifiedName(name.toLowerCase()));
  checkParameters(out, storage.parameters);
  oneOf(out, 'reclaimPolicy', storage.reclaimPolicy || undefined, ['Delete', 'Retain']);
  if (storage.volumeBindingMode === undefined) out.push(cause.required('volumeBindingMode'));
  else oneOf(out, 'volumeBindingMode', storage.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']);
  const terms = new Set<string>();
  storage.allowedTopologies?.forEach((term, i) => {
    const pairs = (term.matchLabelExpressions ?? []).map((r) => [r.key, ...[...(r.values ?? [])].sort()].join(' '));
    const text = pairs.sort().join(',');
    // Upstream compares with as many empty terms as there are terms.
    const twins = text === '' ? (storage.allowedTopologies?.length ?? 0) : Number(terms.has(text));
    for (let n = 0; n < twins; n++)
      out.push(cause.duplicate(`${at('allowedTopologies', i)}.matchLabelExpressions`, ''));
    terms.add(text);
    const keys = new Set<string>();
    term.matchLabelExpressions?.forEach((r, n) => {
      const where = at(`${at('allowedTopologies', i)}.matchLabelExpressions`, n);
      if (!r.values?.length) out.push(cause.required(`${where}.values`));
      const values = new Set<string>();
      r.values?.forEach((value, v) => {
        if (values.has(value)) out.push(cause.duplicate(at(`${where}.values`, v), value));
        values.add(value);
      });
      checkLabelName(out, `${where}.key`, r.key);
      if (keys.has(r.key)) out.push(cause.duplicate(`${where}.key`, r.key));
      keys.add(r.key);
    });
  });
  return out;
};

const checkDriver: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { spec, metadata } = object as CSIDriver;
  const name = metadata.name ?? '';
  // What is no subdomain was told with the rest of the metadata.
  if (name.length > 63) out.push(cause.tooLong('metadata.name', 63));
  if (spec?.attachRequired === undefined) out.push(cause.required('spec.attachedRequired'));
  if (spec?.podInfoOnMount === undefined) out.push(cause.required('spec.podInfoOnMount'));
  if (spec?.storageCapacity === undefined) out.push(cause.required('spec.storageCapacity'));
  oneOf(out, 'spec.fsGroupPolicy', spec?.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType']);
  const period = spec?.nodeAllocatableUpdatePeriodSeconds;
  if (period !== undefined && period < 10)
    out.push(cause.invalid('spec.nodeAllocatableUpdatePeriodSeconds', period, 'must be at least 10 seconds'));
  const audiences = new Set<string>();
  spec?.tokenRequests?.forEach((request, i) => {
    const where = at('spec.tokenRequests', i);
    if (audiences.has(request.audience)) out.push(cause.duplicate(`${where}.audience`, request.audience));
    audiences.add(request.audience);
    const seconds = request.expirationSeconds;
    if (seconds !== undefined && (seconds < 600 || seconds > 2 ** 32)) {
      out.push(cause.invalid(`${where}.expirationSeconds`, seconds, 'must be between 10 minutes and 2^32 seconds'));
    }
  });
  if (spec?.serviceAccountTokenInSecrets !== undefined && !spec.tokenRequests?.length) {
    const detail = 'may only be set where `tokenRequests` is not empty';
    out.push(cause.invalid('spec.serviceAccountTokenInSecrets', spec.serviceAccountTokenInSecrets, detail));
  }
  for (const mode of spec?.volumeLifecycleModes ?? []) {
    oneOf(out, 'spec.volumeLifecycleModes', mode, ['Ephemeral', 'Persistent']);
  }
  return out;
};

const checkCsiNode: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const names = new Set<string>();
  (object as CSINode).spec?.drivers?.forEach((driver, i) => {
    const where = at('spec.drivers', i);
    checkCsiDriver(out, `${where}.name`, driver.name);
    if (names.has(driver.name)) out.push(cause.duplicate(`${where}.name`, driver.name));
    names.add(driver.name);
    if (required(out, `${where}.nodeID`, driver.nodeID) && driver.nodeID.length > 256) {
      out.push(cause.invalid(`${where}.nodeID`, driver.nodeID, 'must be 256 characters or less'));
    }
    const count = driver.allocatable?.count;
    if (count !== undefined && count < 0) {
      out.push(cause.invalid(`${where}.allocatable.count`, count, 'must be greater than or equal to 0'));
    }
    const keys = new Set<string>();
    driver.topologyKeys?.forEach((key) => {
      if (!key) out.push(cause.required(where));
      if (keys.has(key)) out.push(cause.duplicate(where, key));
      keys.add(key);
      invalidEach(out, where, key, qualifiedName(key));
    });
  });
  return out;
};

const checkAttachment: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { spec } = object as VolumeAttachment;
  if (required(out, 'spec.attacher', spec?.attacher)) checkCsiDriver(out, 'spec.attacher', spec?.attacher);
  const { persistentVolumeName: name, inlineVolumeSpec: inline } = spec?.source ?? {};
  if (!inline && name === undefined)
    out.push(cause.required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'));
  else if (inline && name !== undefined) {
    out.push(cause.forbidden('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'));
  } else if (name !== undefined) {
    required(out, 'spec.source.persistentVolumeName', name);
    checkSubdomain(out, 'spec.source.persistentVolumeName', name);
  } else if (inline) checkInlineVolume(out, 'spec.source.inlineVolumeSpec', inline);
  invalidEach(out, 'spec.nodeName', spec?.nodeName ?? '', dnsSubdomain(spec?.nodeName ?? ''));
  return out;
};

const checkStorageCapacity: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { storageClassName, nodeTopology, capacity } = object as CSIStorageCapacity;
  checkSubdomain(out, 'storageClassName', storageClassName ?? '');
  checkSelector(out, 'nodeTopology', nodeTopology);
  if (capacity !== undefined) nonNegativeQuantity(out, 'capacity', capacity);
  return out;
};

const fixed =
  (...paths: string[]): NonNullable<Strategy['validateUpdate']> =>
  (next, old) => {
    const out: Causes = [];
    const read = (object: unknown, path: string): unknown =>
      path.split('.').reduce<unknown>((at1, key) => (at1 as Record<string, unknown> | undefined)?.[key], object);
    for (const path of paths) immutable(out, path, read(next, path), read(old, path));
    return out;
  };

/** Strategies by `group/Kind`. */
export const storageStrategies: Readonly<Record<string, Strategy>> = {
  'storage.k8s.io/StorageClass': {
    validate: checkClass,
    validateUpdate: fixed('parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'),
  },
  'storage.k8s.io/CSIDriver': {
    validate: checkDriver,
    prepareForUpdate: (next, old) => {
      if (!same((next as CSIDriver).spec, (old as CSIDriver).spec))
        next.metadata.generation = (old.metadata.generation ?? 0) + 1;
    },
    validateUpdate: (next, old) => {
      const out: Causes = [];
      const [after, before] = [(next as CSIDriver).spec, (old as CSIDriver).spec];
      immutable(out, 'spec.attachedRequired', after?.attachRequired, before?.attachRequired);
      immutable(out, 'spec.volumeLifecycleModes', after?.volumeLifecycleModes, before?.volumeLifecycleModes);
      return out;
    },
  },
  'storage.k8s.io/CSINode': {
    validate: checkCsiNode,
    validateUpdate: (next, old) => {
      const out: Causes = [];
      const before = new Map(((old as CSINode).spec?.drivers ?? []).map((driver) => [driver.name, driver]));
      for (const { allocatable: _count, ...driver } of (next as CSINode).spec?.drivers ?? []) {
        const known = before.get(driver.name);
        if (!known) continue;
        const { allocatable: _before, ...rest } = known;
        immutable(out, 'spec.drivers', driver, rest);
      }
      return out;
    },
  },
  'storage.k8s.io/VolumeAttachment': { validate: checkAttachment, validateUpdate: fixed('spec') },
  'storage.k8s.io/CSIStorageCapacity': {
    validate: checkStorageCapacity,
    validateUpdate: fixed('nodeTopology', 'storageClassName'),
  },
  'storage.k8s.io/VolumeAttributesClass': {
    validate: (object) => {
      const out: Causes = [];
      const attributes = object as VolumeAttributesClass;
      const name = attributes.driverName ?? '';
      if (required(out, 'driverName', name)) invalidEach(out, 'driverName', name, qualifiedName(name.toLowerCase()));
      checkParameters(out, attributes.parameters, true);
      return out;
    },
    validateUpdate: (next, old) => {
      const changed = fixed('driverName', 'parameters')(next, old, {} as never);
      return changed.map(({ field }) => cause.forbidden(field, 'updates to it are forbidden.'));
    },
  },
};
