// Where a pod may run: affinity, tolerations, topology spread.
import type {
  Affinity,
  LabelSelector,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
  WeightedPodAffinityTerm,
} from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, checkLabelName, checkSelector, invalidEach, oneOf, positive } from '../checks.ts';
import { dnsLabel, dnsSubdomain, labelValue } from '../names.ts';

const REQUIRED_TERMS = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED_TERMS = 'preferredDuringSchedulingIgnoredDuringExecution';
const BAD_OPERATOR = 'not a valid selector operator';

const checkRequirement = (out: Causes, path: string, r: NodeSelectorRequirement, values: boolean): void => {
  const count = r.values?.length ?? 0;
  if (r.operator === 'In' || r.operator === 'NotIn') {
    if (!count) out.push(cause.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (r.operator === 'Exists' || r.operator === 'DoesNotExist') {
    const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    if (count) out.push(cause.forbidden(`${path}.values`, detail));
  } else if (r.operator === 'Gt' || r.operator === 'Lt') {
    const detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
    if (count !== 1) out.push(cause.required(`${path}.values`, detail));
  } else out.push(cause.invalid(`${path}.operator`, r.operator ?? '', BAD_OPERATOR));
  checkLabelName(out, `${path}.key`, r.key);
  if (values) {
    r.values?.forEach((v, i) => {
      invalidEach(out, at(`${path}.values`, i), v, labelValue(v));
    });
  }
};

const checkFieldRequirement = (out: Causes, path: string, r: NodeSelectorRequirement): void => {
  if (r.operator === 'In' || r.operator === 'NotIn') {
    const detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    if (r.values?.length !== 1) out.push(cause.required(`${path}.values`, detail));
  } else out.push(cause.invalid(`${path}.operator`, r.operator ?? '', BAD_OPERATOR));
  if (r.key !== 'metadata.name') out.push(cause.invalid(`${path}.key`, r.key ?? '', 'not a valid field selector key'));
  else {
    r.values?.forEach((v, i) => {
      invalidEach(out, at(`${path}.values`, i), v, dnsSubdomain(v));
    });
  }
};

/** One term; `values` also checks that values could be label values. */
export const checkNodeTerm = (out: Causes, path: string, term: NodeSelectorTerm | undefined, values: boolean): void => {
  term?.matchExpressions?.forEach((r, i) => {
    checkRequirement(out, at(`${path}.matchExpressions`, i), r, values);
  });
  term?.matchFields?.forEach((r, i) => {
    checkFieldRequirement(out, at(`${path}.matchFields`, i), r);
  });
};

/** A node selector: at least one term. */
export const checkNodeSelector = (out: Causes, path: string, selector: NodeSelector, values = true): void => {
  const where = `${path}.nodeSelectorTerms`;
  if (!selector.nodeSelectorTerms?.length) out.push(cause.required(where, 'must have at least one node selector term'));
  selector.nodeSelectorTerms?.forEach((term, i) => {
    checkNodeTerm(out, at(where, i), term, values);
  });
};

const checkKeys = (
  out: Causes,
  path: string,
  keys: readonly string[] | undefined,
  s: LabelSelector | undefined,
): void => {
  if (!keys?.length) return;
  if (!s) out.push(cause.forbidden(path, 'must not be specified when labelSelector is not set'));
  else {
    keys.forEach((key, i) => {
      checkLabelName(out, at(path, i), key);
    });
  }
};

interface LabelKeys {
  matchLabelKeys?: string[];
  mismatchLabelKeys?: string[];
  labelSelector?: LabelSelector;
}
const checkMatchKeys = (out: Causes, path: string, term: LabelKeys): void => {
  const { matchLabelKeys: match = [], mismatchLabelKeys: mismatch = [], labelSelector } = term;
  checkKeys(out, `${path}.matchLabelKeys`, match, labelSelector);
  checkKeys(out, `${path}.mismatchLabelKeys`, mismatch, labelSelector);
  const seen = new Set(Object.keys(labelSelector?.matchLabels ?? {}));
  for (const { key } of labelSelector?.matchExpressions ?? []) {
    const i = match.lastIndexOf(key);
    if (i >= 0 && seen.has(key)) {
      out.push(cause.invalid(at(path, i), key, 'exists in both matchLabelKeys and labelSelector'));
    }
    seen.add(key);
  }
  match.forEach((key, i) => {
    if (!mismatch.includes(key)) return;
    out.push(
      cause.invalid(at(`${path}.matchLabelKeys`, i), key, 'exists in both matchLabelKeys and mismatchLabelKeys'),
    );
  });
};

const checkPodTerm = (out: Causes, path: string, term: PodAffinityTerm): void => {
  checkSelector(out, `${path}.labelSelector`, term.labelSelector);
  checkSelector(out, `${path}.namespaceSelector`, term.namespaceSelector);
  for (const name of term.namespaces ?? []) invalidEach(out, `${path}.namespace`, name, dnsLabel(name));
  checkMatchKeys(out, path, term);
  if (!term.topologyKey) out.push(cause.required(`${path}.topologyKey`, 'can not be empty'));
  checkLabelName(out, `${path}.topologyKey`, term.topologyKey);
};

const checkWeight = (out: Causes, path: string, weight: number | undefined): void => {
  const w = weight ?? 0;
  if (w < 1 || w > 100) out.push(cause.invalid(`${path}.weight`, w, 'must be in the range 1-100'));
};

interface PodTerms {
  requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[];
  preferredDuringSchedulingIgnoredDuringExecution?: WeightedPodAffinityTerm[];
}
const checkPodTerms = (out: Causes, path: string, terms: PodTerms): void => {
  terms[REQUIRED_TERMS]?.forEach((term, i) => {
    checkPodTerm(out, at(`${path}.${REQUIRED_TERMS}`, i), term);
  });
  terms[PREFERRED_TERMS]?.forEach((weighted, i) => {
    const where = at(`${path}.${PREFERRED_TERMS}`, i);
    checkWeight(out, where, weighted.weight);
    checkPodTerm(out, `${where}.podAffinityTerm`, weighted.podAffinityTerm ?? {});
  });
};

/** spec.affinity. */
export const checkAffinity = (out: Causes, path: string, affinity: Affinity | undefined): void => {
  if (!affinity) return;
  const node = affinity.nodeAffinity;
  if (node?.[REQUIRED_TERMS]) checkNodeSelector(out, `${path}.nodeAffinity.${REQUIRED_TERMS}`, node[REQUIRED_TERMS]);
  node?.[PREFERRED_TERMS]?.forEach((term, i) => {
    const where = at(`${path}.nodeAffinity.${PREFERRED_TERMS}`, i);
    checkWeight(out, where, term.weight);
    checkNodeTerm(out, `${where}.preference`, term.preference, false);
  });
  if (affinity.podAffinity) checkPodTerms(out, `${path}.podAffinity`, affinity.podAffinity);
  if (affinity.podAntiAffinity) checkPodTerms(out, `${path}.podAntiAffinity`, affinity.podAntiAffinity);
};

export const TAINT_EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** spec.tolerations. */
export const checkTolerations = (out: Causes, path: string, tolerations: readonly Toleration[] | undefined): void => {
  tolerations?.forEach((t, i) => {
    const where = at(path, i);
    if (t.key) checkLabelName(out, `${where}.key`, t.key);
    else if (t.operator !== 'Exists') {
      const detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      out.push(cause.invalid(`${where}.operator`, t.operator ?? '', detail));
    }
    if (t.tolerationSeconds !== undefined && t.effect !== 'NoExecute') {
      const detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      out.push(cause.invalid(`${where}.effect`, t.effect ?? '', detail));
    }
    const operator = `${where}.operator`;
    if (!t.operator || t.operator === 'Equal') {
      const messages = labelValue(t.value ?? '');
      if (messages.length) out.push(cause.invalid(operator, t.value, messages.join(';')));
    } else if (t.operator === 'Exists') {
      if (t.value) out.push(cause.invalid(operator, t.value, "value must be empty when `operator` is 'Exists'"));
    } else out.push(cause.notSupported(operator, t.operator, ['Equal', 'Exists']));
    if (t.effect) oneOf(out, `${where}.effect`, t.effect, TAINT_EFFECTS);
  });
};

/** spec.topologySpreadConstraints. */
export const checkSpread = (
  out: Causes,
  path: string,
  constraints: readonly TopologySpreadConstraint[] | undefined,
): void => {
  constraints?.forEach((c, i) => {
    const where = at(path, i);
    positive(out, `${where}.maxSkew`, c.maxSkew);
    if (!c.topologyKey) out.push(cause.required(`${where}.topologyKey`, 'can not be empty'));
    oneOf(out, `${where}.whenUnsatisfiable`, c.whenUnsatisfiable ?? '', ['DoNotSchedule', 'ScheduleAnyway']);
    const twin = constraints
      .slice(i + 1)
      .some((o) => o.topologyKey === c.topologyKey && o.whenUnsatisfiable === c.whenUnsatisfiable);
    const pair = `{${c.topologyKey}, ${c.whenUnsatisfiable}}`;
    if (twin) out.push(cause.duplicate(`${where}.{topologyKey, whenUnsatisfiable}`, pair));
    if (c.minDomains !== undefined) {
      positive(out, `${where}.minDomains`, c.minDomains);
      if (c.whenUnsatisfiable !== 'DoNotSchedule') {
        const detail = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${c.whenUnsatisfiable}`;
        out.push(cause.invalid(`${where}.minDomains`, c.minDomains, detail));
      }
    }
    oneOf(out, `${where}.nodeAffinityPolicy`, c.nodeAffinityPolicy, ['Honor', 'Ignore']);
    oneOf(out, `${where}.nodeTaintsPolicy`, c.nodeTaintsPolicy, ['Honor', 'Ignore']);
    checkMatchKeys(out, where, c);
    checkSelector(out, `${where}.labelSelector`, c.labelSelector);
  });
};
