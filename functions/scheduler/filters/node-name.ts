import { type Filter, PASSES } from '../framework.ts';

const REFUSED = [{ reason: "node(s) didn't match the requested node name", resolvable: false }];

/** NodeName: a pod that names its node goes nowhere else. */
export const nodeName: Filter<string> = {
  name: 'NodeName',
  prepare: (pod) => pod.pod.spec?.nodeName || undefined,
  check: (name, node) => (node.name === name ? PASSES : REFUSED),
};
