import type { Container, PodSpec } from '../../machinery/kinds.d.ts';

/** One place where a pod names a secret. */
export interface SecretReference {
  name: string;
  /** `volume with`, `container c with envVar E referencing`... */
  place: string;
}

const ofContainers = (containers: readonly Container[] | undefined, what: string): SecretReference[] =>
  (containers ?? []).flatMap(({ name, env = [], envFrom = [] }) => [
    ...env.flatMap((one) => {
      const secret = one.valueFrom?.secretKeyRef;
      return secret ? [{ name: secret.name ?? '', place: `${what} ${name} with envVar ${one.name} referencing` }] : [];
    }),
    ...envFrom.flatMap(({ secretRef }) =>
      secretRef ? [{ name: secretRef.name ?? '', place: `${what} ${name} with envFrom referencing` }] : [],
    ),
  ]);

/** Secrets that ephemeral containers name. */
export const ephemeralSecrets = (spec: PodSpec): SecretReference[] =>
  ofContainers(spec.ephemeralContainers as Container[] | undefined, 'ephemeral container');

/** Secrets that volumes and containers of a pod name, in upstream's order. */
export const podSecrets = (spec: PodSpec): SecretReference[] => [
  ...(spec.volumes ?? []).flatMap(({ secret }) =>
    secret ? [{ name: secret.secretName ?? '', place: 'volume with' }] : [],
  ),
  ...ofContainers(spec.initContainers, 'init container'),
  ...ofContainers(spec.containers, 'container'),
];

const ofVolumes = (spec: PodSpec): string | undefined => {
  for (const volume of spec.volumes ?? []) {
    if (volume.configMap) return 'configmaps (via configmap volumes)';
    if (volume.secret) return 'secrets (via secret volumes)';
    if (volume.csi) return 'csidrivers (via CSI volumes)';
    if (volume.glusterfs) return 'endpoints (via glusterFS volumes)';
    if (volume.persistentVolumeClaim) return 'persistentvolumeclaims';
    if (volume.ephemeral) return 'persistentvolumeclaims (via ephemeral volumes)';
    if (volume.azureFile) return 'secrets (via azureFile volumes)';
    for (const source of volume.projected?.sources ?? []) {
      if (source.configMap) return 'configmaps (via projected volumes)';
      if (source.secret) return 'secrets (via projected volumes)';
      if (source.serviceAccountToken) return 'serviceaccounts (via projected volumes)';
      if (source.clusterTrustBundle) return 'clustertrustbundles';
      if (source.podCertificate) return 'podcertificates';
    }
  }
  return undefined;
};

const namesConfigMap = ({ env = [], envFrom = [] }: Container): boolean =>
  env.some((one) => one.valueFrom?.configMapKeyRef) || envFrom.some((one) => one.configMapRef);

/** The type of the first API object that a pod names, or undefined: a mirror pod names none. */
export const apiObjectReference = (spec: PodSpec): string | undefined => {
  if (spec.serviceAccountName) return 'serviceaccounts';
  const all = [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...((spec.ephemeralContainers ?? []) as Container[]),
  ];
  const volumeSecrets = (spec.volumes ?? []).some(
    (one) => one.secret || one.azureFile || one.csi?.nodePublishSecretRef,
  );
  if (spec.imagePullSecrets?.length || volumeSecrets || ofContainers(all, '').length > 0) return 'secrets';
  if (all.some(namesConfigMap) || (spec.volumes ?? []).some((one) => one.configMap)) return 'configmaps';
  if (spec.resourceClaims?.length) return 'resourceclaims';
  return ofVolumes(spec);
};
