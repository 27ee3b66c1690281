import { type Filter, PASSES } from '../framework.ts';
import { toleratedBy } from '../tolerations.ts';

const TAINT = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
const REFUSED = [{ reason: 'node(s) were unschedulable', resolvable: false }];

/** NodeUnschedulable: a cordoned node takes only pods that tolerate it. */
export const nodeUnschedulable: Filter<boolean> = {
  name: 'NodeUnschedulable',
  prepare: (pod) => (toleratedBy(pod.pod.spec?.tolerations, TAINT) ? undefined : true),
  check: (_, { node }) => (node.spec?.unschedulable ? REFUSED : PASSES),
};
