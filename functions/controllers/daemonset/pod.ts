import type { DaemonSet, Pod, Toleration } from '../../machinery/kinds.d.ts';
import { ownerReference } from '../owners.ts';
import { podFromTemplate } from '../pods.ts';

export const hashLabel = 'controller-revision-hash';
/** Counts the changes of the template; the API server keeps it. */
export const generationAnnotation = 'deprecated.daemonset.template.generation';
const generationLabel = 'pod-template-generation';

/** The node that a daemon runs on or is meant for; undefined for a pod that names none. */
export const nodeOf = (pod: Pod): string | undefined => {
  if (pod.spec?.nodeName) return pod.spec.nodeName;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? []) {
    const name = matchFields.find((r) => r.key === 'metadata.name' && r.operator === 'In')?.values?.[0];
    if (name) return name;
  }
  return undefined;
};

export const isUpdated = (set: DaemonSet, pod: Pod, hash: string): boolean => {
  const { [hashLabel]: own, [generationLabel]: generation } = pod.metadata.labels ?? {};
  return own === hash || (generation !== undefined && generation === set.metadata.annotations?.[generationAnnotation]);
};

/** A daemon for one node: the scheduler binds it there because its required node affinity allows nothing else. */
export const daemonPod = (set: DaemonSet, node: string, tolerations: Toleration[], hash: string): Pod => {
  const { namespace = '', name = '', annotations = {} } = set.metadata;
  const template = set.spec?.template;
  const pod = podFromTemplate(template, namespace, `${name}-`, ownerReference(set, 'apps/v1', 'DaemonSet'));
  const generation = annotations[generationAnnotation];
  const affinity = template?.spec?.affinity;
  const only = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] };
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata.labels,
        [hashLabel]: hash,
        ...(generation !== undefined && { [generationLabel]: generation }),
      },
    },
    spec: {
      containers: [],
      ...template?.spec,
      tolerations,
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [only] },
        },
      },
    },
  };
};
