// ResourceQuotas and LimitRanges.
import type { LimitRange, LimitRangeItem, ResourceQuota, ResourceQuotaSpec } from '../../machinery/kinds.d.ts';
import { compareQuantity, milliValue, quantityValue } from '../../machinery/quantity.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, immutable, invalidEach } from './checks.ts';
import { qualifiedName } from './names.ts';
import {
  checkContainerResourceName,
  checkResourceName,
  checkResourceQuantity,
  isQuotaResource,
} from './pod/resources.ts';

const SCOPES = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];
const POD_RESOURCES = /^(cpu|memory|(requests|limits)\.(cpu|memory)|pods)$/;
const fitsScope = (scope: string, resource: string): boolean => {
  if (scope === 'VolumeAttributesClass') return /^(persistentvolumeclaims|requests\.storage)$/.test(resource);
  if (scope === 'BestEffort') return resource === 'pods';
  return POD_RESOURCES.test(resource);
};
const EXCLUSIVE = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

const checkQuantities = (out: Causes, path: string, list: Record<string, string> | undefined): void => {
  for (const name in list) {
    const where = at(path, name);
    checkResourceName(out, where, name);
    if (!name.includes('/') && !isQuotaResource(name)) {
      out.push(cause.invalid(where, name, 'must be a standard resource for quota'));
    }
    checkResourceQuantity(out, where, name, list[name] as string);
  }
};

/** Resources that a quota of this scope cannot count. */
const unfit = (spec: ResourceQuotaSpec, scope: string): string[] =>
  SCOPES.includes(scope)
    ? Object.keys(spec.hard ?? {}).filter(
        (name) => !name.includes('/') && isQuotaResource(name) && !fitsScope(scope, name),
      )
    : [];

const checkScopes = (out: Causes, spec: ResourceQuotaSpec): void => {
  const path = 'spec.scopes';
  const scopes = new Set(spec.scopes ?? []);
  for (const scope of spec.scopes ?? []) {
    if (!SCOPES.includes(scope)) out.push(cause.invalid(path, spec.scopes, 'unsupported scope'));
    for (const _ of unfit(spec, scope))
      out.push(cause.invalid(path, spec.scopes, 'unsupported scope applied to resource'));
  }
  for (const [a, b] of EXCLUSIVE) {
    if (scopes.has(a) && scopes.has(b)) out.push(cause.invalid(path, spec.scopes, 'conflicting scopes'));
  }
};

/** The selector as upstream shows it: by the names of its own type. */
const shownSelector = ({ scopeSelector }: ResourceQuotaSpec) => ({
  MatchExpressions: (scopeSelector?.matchExpressions ?? []).map(({ scopeName, operator, values }) => ({
    ScopeName: scopeName,
    Operator: operator,
    Values: values ?? null,
  })),
});

const checkScopeSelector = (out: Causes, spec: ResourceQuotaSpec): void => {
  const path = 'spec.scopeSelector.matchExpressions';
  const seen = new Set<string>();
  for (const r of spec.scopeSelector?.matchExpressions ?? []) {
    seen.add(r.scopeName);
    if (!SCOPES.includes(r.scopeName)) out.push(cause.invalid(`${path}.scopeName`, r.scopeName, 'unsupported scope'));
    for (const _ of unfit(spec, r.scopeName))
      out.push(cause.invalid(path, shownSelector(spec), 'unsupported scope applied to resource'));
    const only = ['BestEffort', 'NotBestEffort', 'Terminating', 'NotTerminating', 'CrossNamespacePodAffinity'];
    if (only.includes(r.scopeName) && r.operator !== 'Exists') {
      const detail =
        "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
      out.push(cause.invalid(`${path}.operator`, r.operator, detail));
    }
    const count = r.values?.length ?? 0;
    if (r.operator === 'In' || r.operator === 'NotIn') {
      const detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
      if (count === 0) out.push(cause.required(`${path}.values`, detail));
    } else if (r.operator === 'Exists' || r.operator === 'DoesNotExist') {
      const detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
      if (count > 0) out.push(cause.invalid(`${path}.values`, r.values, detail));
    } else out.push(cause.invalid(`${path}.operator`, r.operator, 'not a valid selector operator'));
  }
  for (const [a, b] of EXCLUSIVE) {
    if (seen.has(a) && seen.has(b)) out.push(cause.invalid(path, [...seen], 'conflicting scopes'));
  }
};

const ONLY_POD = "may not be specified when `type` is 'Pod'";
const LIMIT_TYPES = ['Pod', 'Container', 'PersistentVolumeClaim'];
const SIDES = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

const checkRatio = (out: Causes, path: string, name: string, item: LimitRangeItem): void => {
  const ratio = item.maxLimitRequestRatio?.[name];
  if (ratio === undefined) return;
  if (compareQuantity(ratio, '1') < 0) {
    out.push(cause.invalid(path, ratio, `ratio ${ratio} is less than 1`));
  }
  const max = item.max?.[name];
  const min = item.min?.[name];
  if (max === undefined || min === undefined) return;
  const whole = name === 'cpu' ? milliValue : quantityValue;
  const most = whole(max) / whole(min);
  if (milliValue(ratio) / 1000 > most) {
    out.push(cause.invalid(path, ratio, `ratio ${ratio} is greater than max/min = ${most}`));
  }
};

const checkBounds = (out: Causes, path: string, name: string, item: LimitRangeItem): void => {
  const less = (a: string | undefined, b: string | undefined): boolean =>
    a !== undefined && b !== undefined && compareQuantity(a, b) < 0;
  const min = item.min?.[name];
  const max = item.max?.[name];
  const request = item.defaultRequest?.[name];
  const limit = item.default?.[name];
  const refuse = (side: string, value: string | undefined, detail: string) =>
    out.push(cause.invalid(at(`${path}.${side}`, name), value, detail));
  if (less(max, min)) refuse('min', min, `min value ${min} is greater than max value ${max}`);
  if (less(request, min))
    refuse('defaultRequest', request, `min value ${min} is greater than default request value ${request}`);
  if (less(max, request))
    refuse('defaultRequest', request, `default request value ${request} is greater than max value ${max}`);
  if (less(limit, request)) {
    refuse('defaultRequest', request, `default request value ${request} is greater than default limit value ${limit}`);
  }
  if (less(limit, min)) refuse('default', min, `min value ${min} is greater than default value ${limit}`);
  if (less(max, limit)) refuse('default', max, `default value ${limit} is greater than max value ${max}`);
};

const checkItem = (out: Causes, path: string, item: LimitRangeItem): void => {
  const type = item.type ?? '';
  const faults = qualifiedName(type);
  invalidEach(out, `${path}.type`, type, faults);
  if (!faults.length && !type.includes('/') && !LIMIT_TYPES.includes(type)) {
    out.push(cause.invalid(`${path}.type`, type, 'must be a standard limit type or fully qualified'));
  }
  if (type === 'Pod') {
    if (item.default) out.push(cause.forbidden(`${path}.default`, ONLY_POD));
    if (item.defaultRequest) out.push(cause.forbidden(`${path}.defaultRequest`, ONLY_POD));
  }
  if (type === 'PersistentVolumeClaim' && !item.min?.storage && !item.max?.storage) {
    out.push(
      cause.required(`${path}.limits`, 'either minimum or maximum storage value is required, but neither was provided'),
    );
  }
  const checkName = type === 'Pod' || type === 'Container' ? checkContainerResourceName : checkResourceName;
  const names = new Set<string>();
  for (const side of SIDES) {
    const list = type === 'Pod' && side.startsWith('default') ? {} : (item[side] ?? {});
    for (const name in list) {
      names.add(name);
      checkName(out, at(`${path}.${side}`, name), name);
    }
  }
  for (const name of names) {
    checkBounds(out, path, name, item);
    checkRatio(out, at(`${path}.maxLimitRequestRatio`, name), name, item);
  }
};

/** Strategies by `group/Kind`. */
export const quotaStrategies: Readonly<Record<string, Strategy>> = {
  '/ResourceQuota': {
    prepareForCreate: (object) => {
      (object as ResourceQuota).status = {};
    },
    validate: (object) => {
      const out: Causes = [];
      const spec = (object as ResourceQuota).spec ?? {};
      checkQuantities(out, 'spec.hard', spec.hard);
      checkScopes(out, spec);
      checkScopeSelector(out, spec);
      return out;
    },
    validateUpdate: (next, old) => {
      const out: Causes = [];
      const scopes = (object: unknown) => [...((object as ResourceQuota).spec?.scopes ?? [])].sort();
      immutable(out, 'spec.scopes', scopes(next), scopes(old));
      return out;
    },
    validateStatusUpdate: (next) => {
      const out: Causes = [];
      const { status } = next as ResourceQuota;
      checkQuantities(out, 'status.hard', status?.hard);
      checkQuantities(out, 'status.used', status?.used);
      return out;
    },
  },
  '/LimitRange': {
    createOnUpdate: true,
    // One without a name gets a uid for it.
    prepareForCreate: (object, ctx) => {
      object.metadata.name ||= ctx.uuid();
    },
    validate: (object) => {
      const out: Causes = [];
      const seen = new Set<string>();
      (object as LimitRange).spec?.limits?.forEach((item, i) => {
        const where = at('spec.limits', i);
        if (seen.has(item.type)) out.push(cause.duplicate(`${where}.type`, item.type));
        seen.add(item.type);
        checkItem(out, where, item);
      });
      return out;
    },
  },
};
