// HorizontalPodAutoscalers (both versions) and PodDisruptionBudgets.
import type {
  CrossVersionObjectReference,
  HorizontalPodAutoscaler,
  HPAScalingRules,
  MetricSpec,
  MetricTarget,
  PodDisruptionBudget,
} from '../../machinery/kinds.d.ts';
import { signOf } from '../../machinery/quantity.ts';
import { cause } from '../../machinery/status.ts';
import { hpaToV2 } from '../conversions-hpa.ts';
import type { Strategy } from '../registry.ts';
import {
  at,
  type Causes,
  checkDnsLabel,
  checkSelector,
  invalidEach,
  nonNegative,
  nonNegativeQuantity,
  oneOf,
  positive,
  required,
} from './checks.ts';
import { pathSegment } from './names.ts';
import { checkContainerResourceName } from './pod/resources.ts';
import { atMostHundred, checkIntOrPercent } from './workloads.ts';

const checkReference = (
  out: Causes,
  path: string,
  ref: CrossVersionObjectReference | undefined,
  coreToo: boolean,
): void => {
  for (const field of ['kind', 'name'] as const) {
    const value = ref?.[field];
    if (required(out, `${path}.${field}`, value)) invalidEach(out, `${path}.${field}`, value, pathSegment(value ?? ''));
  }
  const version = ref?.apiVersion ?? '';
  const parts = version.split('/');
  if (parts.length > 2)
    out.push(cause.invalid(`${path}.apiVersion`, version, `unexpected GroupVersion string: ${version}`));
  else if (!coreToo && (parts.length < 2 || parts[0] === ''))
    out.push(cause.invalid(`${path}.apiVersion`, version, 'apiVersion must specify API group'));
};

const TARGET_TYPES = ['AverageValue', 'Utilization', 'Value'];
const checkTarget = (out: Causes, path: string, target: MetricTarget | undefined): void => {
  const type = target?.type ?? '';
  required(out, `${path}.type`, type, 'must specify a metric target type');
  if (!TARGET_TYPES.includes(type))
    out.push(cause.invalid(`${path}.type`, type, 'must be either Utilization, Value, or AverageValue'));
  for (const field of ['value', 'averageValue'] as const) {
    const value = target?.[field];
    if (value !== undefined && signOf(value) <= 0)
      out.push(cause.invalid(`${path}.${field}`, value, 'must be positive'));
  }
  const utilization = target?.averageUtilization;
  if (utilization !== undefined && utilization < 1) {
    out.push(cause.invalid(`${path}.averageUtilization`, utilization, 'must be greater than 0'));
  }
};

/** In the order in which upstream looks for them: only the first one present is looked into. */
const SOURCES: Record<string, 'object' | 'pods' | 'resource' | 'external' | 'containerResource'> = {
  Object: 'object',
  External: 'external',
  Pods: 'pods',
  Resource: 'resource',
  ContainerResource: 'containerResource',
};
const TYPES = Object.keys(SOURCES).sort();

const checkUtilization = (out: Causes, path: string, target: MetricTarget | undefined): void => {
  checkTarget(out, path, target);
  const { averageUtilization: utilization, averageValue: value } = target ?? {};
  if (utilization === undefined && value === undefined) {
    const detail = 'must set either a target raw value or a target utilization';
    out.push(cause.required(`${path}.averageUtilization`, detail));
  } else if (utilization !== undefined && value !== undefined) {
    const detail = 'may not set both a target raw value and a target utilization';
    out.push(cause.forbidden(`${path}.averageValue`, detail));
  }
};

const checkContainerResource = (out: Causes, path: string, source: MetricSpec['containerResource']): void => {
  const { name = '', container = '', target } = source ?? {};
  if (required(out, `${path}.name`, name, 'must specify a resource name'))
    checkContainerResourceName(out, `${path}.name`, name);
  if (required(out, `${path}.container`, container, 'must specify a container'))
    checkDnsLabel(out, `${path}.container`, container);
  checkUtilization(out, `${path}.target`, target);
};

type Named = NonNullable<MetricSpec['object'] | MetricSpec['external'] | MetricSpec['pods']>;

const checkNamed = (out: Causes, path: string, source: Named, onlyAverage: boolean): void => {
  const name = source.metric?.name ?? '';
  if (required(out, `${path}.metric.name`, name, 'must specify a metric name'))
    invalidEach(out, `${path}.metric.name`, name, pathSegment(name));
  checkTarget(out, `${path}.target`, source.target);
  const { value, averageValue } = source.target ?? {};
  if (averageValue === undefined && (onlyAverage || value === undefined))
    out.push(cause.required(`${path}.target.averageValue`, 'must set either a target value or averageValue'));
};

const checkExternal = (out: Causes, path: string, source: NonNullable<MetricSpec['external']>): void => {
  checkNamed(out, path, source, false);
  if (source.target?.value === undefined || source.target.averageValue === undefined) return;
  const detail = 'may not set both a target value for metric and a per-pod target';
  out.push(cause.forbidden(`${path}.target.value`, detail));
};

const checkSource = (out: Causes, path: string, metric: MetricSpec, name: string): void => {
  if (metric.object && name === 'object') {
    checkReference(out, `${path}.describedObject`, metric.object.describedObject, true);
    checkNamed(out, path, metric.object, false);
  } else if (metric.external && name === 'external') checkExternal(out, path, metric.external);
  else if (metric.pods && name === 'pods') checkNamed(out, path, metric.pods, true);
  else if (metric.resource && name === 'resource') {
    required(out, `${path}.name`, metric.resource.name, 'must specify a resource name');
    checkUtilization(out, `${path}.target`, metric.resource.target);
  } else checkContainerResource(out, path, metric.containerResource);
};

const checkMetric = (out: Causes, path: string, metric: MetricSpec): void => {
  const type = metric.type ?? '';
  required(out, `${path}.type`, type, 'must specify a metric source type');
  oneOf(out, `${path}.type`, type, TYPES);
  const present = Object.values(SOURCES).filter((name) => metric[name] !== undefined);
  const [first] = present;
  if (first !== undefined) checkSource(out, `${path}.${first}`, metric, first);
  const expected = SOURCES[type];
  if (expected === undefined) out.push(cause.notSupported(`${path}.type`, type, TYPES));
  else if (metric[expected] === undefined) {
    out.push(cause.required(`${path}.${expected}`, 'must populate information for the given metric source'));
  }
  if (present.length === 1) return;
  for (const name of present)
    if (name !== expected) out.push(cause.forbidden(`${path}.${name}`, 'must populate the given metric source only'));
};

const checkRules = (out: Causes, path: string, rules: HPAScalingRules | undefined): void => {
  if (!rules) return;
  const window = rules.stabilizationWindowSeconds;
  if (window !== undefined && (window < 0 || window > 3600)) {
    out.push(cause.invalid(`${path}.stabilizationWindowSeconds`, window, 'must be between 0 and 3600'));
  }
  oneOf(out, `${path}.selectPolicy`, rules.selectPolicy, ['Disabled', 'Max', 'Min']);
  if (!rules.policies?.length) out.push(cause.required(`${path}.policies`, 'must specify at least one Policy'));
  rules.policies?.forEach((policy, i) => {
    const where = at(`${path}.policies`, i);
    oneOf(out, `${where}.type`, policy.type ?? '', ['Percent', 'Pods']);
    positive(out, `${where}.value`, policy.value);
    positive(out, `${where}.periodSeconds`, policy.periodSeconds);
    if ((policy.periodSeconds ?? 0) > 1800) {
      out.push(cause.invalid(`${where}.periodSeconds`, policy.periodSeconds, 'must be less than or equal to 1800'));
    }
  });
  if (rules.tolerance !== undefined) nonNegativeQuantity(out, `${path}.tolerance`, rules.tolerance);
};

/** Faults of a v1 autoscaler are told where they stand in v2, which is what is checked. */
const checkAutoscaler: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { spec } = (object.apiVersion === 'autoscaling/v1' ? hpaToV2(object) : object) as HorizontalPodAutoscaler;
  const min = spec?.minReplicas;
  const max = spec?.maxReplicas ?? 0;
  if (min !== undefined && min < 1) {
    out.push(cause.invalid('spec.minReplicas', min, 'must be greater than or equal to 1'));
  }
  if (max === 0) out.push(cause.required('spec.maxReplicas', 'must be set and greater than 0'));
  else if (max < 0) out.push(cause.invalid('spec.maxReplicas', max, 'must be greater than or equal to 1'));
  if (min !== undefined && max < min) {
    out.push(cause.invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
  }
  const target = spec?.scaleTargetRef;
  checkReference(out, 'spec.scaleTargetRef', target, target?.kind === 'ReplicationController');
  spec?.metrics?.forEach((metric, i) => {
    checkMetric(out, at('spec.metrics', i), metric);
  });
  if (min === 0 && !spec?.metrics?.some((metric) => metric.type === 'Object' || metric.type === 'External')) {
    const detail = 'must specify at least one Object or External metric to support scaling to zero replicas';
    out.push(cause.forbidden('spec.metrics', detail));
  }
  checkRules(out, 'spec.behavior.scaleUp', spec?.behavior?.scaleUp);
  checkRules(out, 'spec.behavior.scaleDown', spec?.behavior?.scaleDown);
  return out;
};

const checkBudget: NonNullable<Strategy['validate']> = (object) => {
  const out: Causes = [];
  const { spec } = object as PodDisruptionBudget;
  const { minAvailable, maxUnavailable } = spec ?? {};
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    out.push(cause.invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
  }
  for (const field of ['minAvailable', 'maxUnavailable'] as const) {
    const value = spec?.[field];
    if (value === undefined) continue;
    checkIntOrPercent(out, `spec.${field}`, value);
    atMostHundred(out, `spec.${field}`, value);
  }
  checkSelector(out, 'spec.selector', spec?.selector);
  oneOf(out, 'spec.unhealthyPodEvictionPolicy', spec?.unhealthyPodEvictionPolicy, ['AlwaysAllow', 'IfHealthyBudget']);
  return out;
};

/** Strategies by `group/Kind`. */
export const scalingStrategies: Readonly<Record<string, Strategy>> = {
  'autoscaling/HorizontalPodAutoscaler': {
    validate: checkAutoscaler,
    validateStatusUpdate: (next) => {
      const out: Causes = [];
      const { status } = next as HorizontalPodAutoscaler;
      nonNegative(out, 'status.currentReplicas', status?.currentReplicas);
      nonNegative(out, 'status.desiredReplicas', status?.desiredReplicas);
      return out;
    },
  },
  'policy/PodDisruptionBudget': {
    validateName: pathSegment,
    validate: checkBudget,
    validateStatusUpdate: (next) => {
      const out: Causes = [];
      const { status } = next as PodDisruptionBudget;
      for (const field of ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const) {
        nonNegative(out, `status.${field}`, status?.[field]);
      }
      return out;
    },
  },
};
