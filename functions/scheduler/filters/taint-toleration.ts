import type { Pod, Toleration } from '../../machinery/kinds.d.ts';
import { type Filter, type NodeInfo, PASSES } from '../framework.ts';
import { toleratedBy } from '../tolerations.ts';

const REFUSED = [{ reason: 'node(s) had untolerated taint(s)', resolvable: false }];
const NONE: readonly Toleration[] = [];

const tainted = (tolerations: readonly Toleration[], { node }: NodeInfo): boolean =>
  node.spec?.taints?.some((t) => t.effect !== 'PreferNoSchedule' && !toleratedBy(tolerations, t)) ?? false;

/** Whether a pod tolerates all NoSchedule and NoExecute taints of a node. */
export const toleratesNode = (pod: Pod, node: NodeInfo): boolean => !tainted(pod.spec?.tolerations ?? NONE, node);

/** TaintToleration: no NoSchedule or NoExecute taint that the pod does not tolerate. */
export const taintToleration: Filter<readonly Toleration[]> = {
  name: 'TaintToleration',
  prepare: (pod) => pod.pod.spec?.tolerations ?? NONE,
  check: (tolerations, node) => (tainted(tolerations, node) ? REFUSED : PASSES),
};
