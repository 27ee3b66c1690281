import type { JsonObject } from '../../machinery/object.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const protectedBy: Record<string, string> = {
  '/persistentvolumeclaims': 'kubernetes.io/pvc-protection',
  '/persistentvolumes': 'kubernetes.io/pv-protection',
  'storage.k8s.io/volumeattributesclasses': 'kubernetes.io/vac-protection',
};

const isCreate = ({ operation, subresource }: AdmissionRequest): boolean => operation === 'CREATE' && !subresource;

/** New claims, volumes and attributes classes get the finalizer that holds them while they are used. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  about: Object.keys(protectedBy),
  admit: (request) => {
    const { call, object } = request;
    const finalizer = protectedBy[`${call.resource.group}/${call.resource.resource}`];
    if (!finalizer || !object || !isCreate(request)) return;
    const present = object.metadata.finalizers ?? [];
    if (!present.includes(finalizer)) object.metadata.finalizers = [...present, finalizer];
  },
};

/** A new node takes no pods until it has been seen ready. */
export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  about: ['/nodes'],
  admit: (request) => {
    const { call, object } = request;
    if (call.resource.group !== '' || call.resource.resource !== 'nodes' || !object || !isCreate(request)) return;
    const taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
    const taints = (Array.isArray(object.spec?.taints) ? object.spec.taints : []) as JsonObject[];
    if (taints.some((t) => t.key === taint.key && t.effect === taint.effect)) return;
    object.spec = { ...object.spec, taints: [...taints, taint] };
  },
};
