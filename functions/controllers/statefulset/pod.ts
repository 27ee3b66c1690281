import type { PersistentVolumeClaim, Pod, PodTemplateSpec, StatefulSet } from '../../machinery/kinds.d.ts';
import type { PlannedWrite } from '../controller.ts';
import { ownerReference } from '../owners.ts';
import { createPod, podFromTemplate } from '../pods.ts';
import { persistentVolumeClaims } from '../resources.ts';

export const revisionLabel = 'controller-revision-hash';

/** The number at the end of a pod's name; undefined where it is not one of this set's names. */
export const ordinalOf = (set: StatefulSet, pod: Pod): number | undefined => {
  const prefix = `${set.metadata.name}-`;
  const name = pod.metadata.name ?? '';
  const number = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^\d+$/.test(number) ? Number(number) : undefined;
};

const claimName = (template: PersistentVolumeClaim, pod: string): string => `${template.metadata.name}-${pod}`;

/** The writes that make one pod of the set: its claims, which outlive it, then the pod with its stable identity. */
export const createOrdinal = (
  set: StatefulSet,
  ordinal: number,
  template: PodTemplateSpec | undefined,
  revision: string,
): PlannedWrite[] => {
  const { namespace = '', name: base = '' } = set.metadata;
  const name = `${base}-${ordinal}`;
  const templates = set.spec?.volumeClaimTemplates ?? [];
  const claims: PlannedWrite[] = templates.map((claim) => ({
    op: 'create',
    resource: persistentVolumeClaims,
    object: {
      ...claim,
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        ...claim.metadata,
        name: claimName(claim, name),
        namespace,
        labels: { ...claim.metadata.labels, ...set.spec?.selector.matchLabels },
      },
    },
    onExists: 'ignore',
    done: (result) => ({
      regarding: set,
      type: 'Normal',
      reason: 'SuccessfulCreate',
      message: `create Claim ${result.metadata.name} Pod ${name} in StatefulSet ${base} success`,
    }),
  }));
  const reference = ownerReference(set, 'apps/v1', 'StatefulSet');
  const { generateName: _, ...metadata } = podFromTemplate(template, namespace, '', reference).metadata;
  const volumes = (template?.spec?.volumes ?? []).filter((v) => !templates.some((t) => t.metadata.name === v.name));
  const claimed = templates.map((claim) => ({
    name: claim.metadata.name ?? '',
    persistentVolumeClaim: { claimName: claimName(claim, name) },
  }));
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      name,
      labels: {
        ...metadata.labels,
        'apps.kubernetes.io/pod-index': String(ordinal),
        [revisionLabel]: revision,
        'statefulset.kubernetes.io/pod-name': name,
      },
    },
    spec: {
      containers: [],
      ...template?.spec,
      hostname: name,
      ...(set.spec?.serviceName && { subdomain: set.spec.serviceName }),
      ...(volumes.length + claimed.length > 0 && { volumes: [...volumes, ...claimed] }),
    },
  };
  const message = `create Pod ${name} in StatefulSet ${base} successful`;
  return [
    ...claims,
    { ...createPod(set, pod), done: () => ({ regarding: set, type: 'Normal', reason: 'SuccessfulCreate', message }) },
  ];
};
