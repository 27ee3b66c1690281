import type { Toleration } from '../../machinery/kinds.d.ts';
import type { Filter } from '../framework.ts';
import { toleratedBy } from '../tolerations.ts';

/** TaintToleration: no NoSchedule or NoExecute taint that the pod does not tolerate. */
export const taintToleration: Filter<readonly Toleration[]> = {
  name: 'TaintToleration',
  prepare: (pod) => pod.pod.spec?.tolerations ?? [],
  check: (tolerations, { node }) => {
    const taint = node.spec?.taints?.find((t) => t.effect !== 'PreferNoSchedule' && !toleratedBy(tolerations, t));
    return taint ? [{ reason: 'node(s) had untolerated taint(s)', resolvable: false }] : [];
  },
};
