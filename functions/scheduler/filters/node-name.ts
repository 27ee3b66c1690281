import type { Filter } from '../framework.ts';

/** NodeName: a pod that names its node goes nowhere else. */
export const nodeName: Filter<string> = {
  name: 'NodeName',
  prepare: (pod) => pod.pod.spec?.nodeName || undefined,
  check: (name, node) =>
    node.node.metadata.name === name
      ? []
      : [{ reason: "node(s) didn't match the requested node name", resolvable: false }],
};
