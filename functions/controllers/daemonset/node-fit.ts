import type {
  DaemonSet,
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Toleration,
} from '../../machinery/kinds.d.ts';
import { tolerates } from '../taint-eviction.ts';

const added: Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
];
const network: Toleration = { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' };

/** The template's tolerations and those that every daemon has (documentation of DaemonSet, "Taints and tolerations"). */
export const daemonTolerations = (set: DaemonSet): Toleration[] => {
  const spec = set.spec?.template?.spec;
  const extra = spec?.hostNetwork ? [...added, network] : added;
  const own = (spec?.tolerations ?? []).filter((t) => !extra.some((e) => e.key === t.key && e.effect === t.effect));
  return [...own, ...extra];
};

const holds = ({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean => {
  if (operator === 'In') return value !== undefined && values.includes(value);
  if (operator === 'NotIn') return value === undefined || !values.includes(value);
  if (operator === 'Exists') return value !== undefined;
  if (operator === 'DoesNotExist') return value === undefined;
  const [bound = ''] = values;
  if (value === undefined || !/^-?\d+$/.test(value) || !/^-?\d+$/.test(bound)) return false;
  return operator === 'Gt' ? BigInt(value) > BigInt(bound) : operator === 'Lt' && BigInt(value) < BigInt(bound);
};

const matches = ({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean =>
  matchExpressions.length + matchFields.length > 0 &&
  matchExpressions.every((r) => holds(r, node.metadata.labels?.[r.key])) &&
  matchFields.every((r) => r.key === 'metadata.name' && holds(r, node.metadata.name));

const fitsSelection = (set: DaemonSet, node: Node): boolean => {
  const spec = set.spec?.template?.spec;
  if (spec?.nodeName && spec.nodeName !== node.metadata.name) return false;
  const labels = node.metadata.labels ?? {};
  if (!Object.entries(spec?.nodeSelector ?? {}).every(([key, value]) => labels[key] === value)) return false;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return !required || required.nodeSelectorTerms.some((term) => matches(term, node));
};

export interface Fit {
  /** A pod may be made on the node. */
  run: boolean;
  /** A pod that is there may stay: a taint NoSchedule that came later does not drive it away. */
  stay: boolean;
}

/** Whether a daemon belongs on a node: its selection and its taints; free capacity is the scheduler's business. */
export const fitOf = (set: DaemonSet, tolerations: readonly Toleration[], node: Node): Fit => {
  if (!fitsSelection(set, node)) return { run: false, stay: false };
  const open = (node.spec?.taints ?? []).filter((taint) => !tolerations.some((t) => tolerates(t, taint)));
  const stay = !open.some((taint) => taint.effect === 'NoExecute');
  return { run: stay && !open.some((taint) => taint.effect === 'NoSchedule'), stay };
};
