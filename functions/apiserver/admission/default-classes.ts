import type { Ingress, IngressClass, PersistentVolumeClaim, StorageClass } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { compareQuantity } from '../../machinery/quantity.ts';
import type { AdmissionPlugin } from './admission.ts';
import { refusal } from './refusal.ts';
import { isCreateOf, isUpdateOf } from './request-type.ts';
import { defaultClass, storedObject, storedObjects } from './stored.ts';

const oldClassKey = 'volume.beta.kubernetes.io/storage-class';
const defaultStorageKeys = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** Claims that name no class get the default one. An empty name asks for none. */
export const defaultStorageClass: AdmissionPlugin = {
  name: 'DefaultStorageClass',
  about: ['/persistentvolumeclaims'],
  admit: async (request) => {
    if (!isCreateOf(request, '/persistentvolumeclaims')) return;
    const claim = request.object as KubeObject as PersistentVolumeClaim;
    if (claim.metadata.annotations?.[oldClassKey] !== undefined || claim.spec?.storageClassName !== undefined) return;
    const classes = await storedObjects<StorageClass>(request.call, 'storage.k8s.io', 'storageclasses');
    const name = defaultClass(classes, defaultStorageKeys)?.metadata.name;
    if (name) claim.spec = { ...claim.spec, storageClassName: name };
  },
};

const classOf = ({ metadata, spec }: PersistentVolumeClaim): string =>
  metadata.annotations?.[oldClassKey] ?? spec?.storageClassName ?? '';

/** Only claims that are bound grow, and only where their class says that its volumes can. */
export const persistentVolumeClaimResize: AdmissionPlugin = {
  name: 'PersistentVolumeClaimResize',
  about: ['/persistentvolumeclaims'],
  validate: async (request) => {
    if (!isUpdateOf(request, '/persistentvolumeclaims')) return;
    const claim = request.object as KubeObject as PersistentVolumeClaim;
    const before = request.old as KubeObject as PersistentVolumeClaim;
    const [next, old] = [claim, before].map((one) => String(one.spec?.resources?.requests?.storage ?? '0'));
    if (compareQuantity(next ?? '0', old ?? '0') <= 0) return;
    if (before.status?.phase !== 'Bound') throw refusal(request, 'Only bound persistent volume claims can be expanded');
    const name = classOf(claim);
    const found =
      name !== '' && name === classOf(before)
        ? await storedObject<StorageClass>(request.call, 'storage.k8s.io', 'storageclasses', name)
        : undefined;
    if (found?.allowVolumeExpansion) return;
    throw refusal(
      request,
      'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    );
  },
};

/** Ingresses that name no class get the default one. */
export const defaultIngressClass: AdmissionPlugin = {
  name: 'DefaultIngressClass',
  about: ['networking.k8s.io/ingresses'],
  admit: async (request) => {
    if (!isCreateOf(request, 'networking.k8s.io/ingresses')) return;
    const ingress = request.object as KubeObject as Ingress;
    const named = ingress.metadata.annotations?.['kubernetes.io/ingress.class'] !== undefined;
    if (named || ingress.spec?.ingressClassName !== undefined) return;
    const classes = await storedObjects<IngressClass>(request.call, 'networking.k8s.io', 'ingressclasses');
    const name = defaultClass(classes, ['ingressclass.kubernetes.io/is-default-class'])?.metadata.name;
    if (name) ingress.spec = { ...ingress.spec, ingressClassName: name };
  },
};
