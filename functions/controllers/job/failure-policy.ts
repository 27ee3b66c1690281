import type { Job, Pod } from '../../machinery/kinds.d.ts';

export type FailureAction = 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';
type Rules = NonNullable<NonNullable<Job['spec']>['podFailurePolicy']>['rules'];

const exited = (pod: Pod) =>
  [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].flatMap((status) => {
    const code = status.state?.terminated?.exitCode;
    return code ? [{ name: status.name, code }] : [];
  });

/** What the first matching rule says of a failed pod, with a message; undefined: the default, count it. */
export const failureAction = (job: Job, pod: Pod): { action: FailureAction; message: string } | undefined => {
  const rules: Rules = job.spec?.podFailurePolicy?.rules ?? [];
  const id = `${pod.metadata.namespace}/${pod.metadata.name}`;
  for (const [i, { action, onExitCodes, onPodConditions }] of rules.entries()) {
    for (const { name, code } of onExitCodes ? exited(pod) : []) {
      if (onExitCodes?.containerName && onExitCodes.containerName !== name) continue;
      if ((onExitCodes?.values ?? []).includes(code) !== (onExitCodes?.operator === 'In')) continue;
      const message = `Container ${name} for pod ${id} failed with exit code ${code} matching ${action} rule at index ${i}`;
      return { action: action as FailureAction, message };
    }
    for (const pattern of onPodConditions ?? []) {
      const found = pod.status?.conditions?.find(
        (c) => c.type === pattern.type && c.status === (pattern.status ?? 'True'),
      );
      if (!found) continue;
      const message = `Pod ${id} has condition ${pattern.type} matching ${action} rule at index ${i}`;
      return { action: action as FailureAction, message };
    }
  }
  return undefined;
};
