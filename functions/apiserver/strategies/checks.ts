// Checks that push causes. Every one takes where to push, the field's path, and the value; order of pushing is upstream's.
import type { LabelSelector } from '../../machinery/kinds.d.ts';
import { signOf } from '../../machinery/quantity.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import { ambiguityOf, familyOf, parseCidr, rangeAmbiguityOf } from './ip.ts';
import { dnsLabel, dnsSubdomain, labelValue, portName, qualifiedName } from './names.ts';

/** Causes collected so far. */
export type Causes = Cause[];

/** `path[key]`: an element of a list or an entry of a map. */
export const at = (path: string, key: number | string): string => `${path}[${key}]`;

/** One Invalid cause per message. */
export const invalidEach = (out: Causes, path: string, value: unknown, messages: readonly string[]): void => {
  for (const message of messages) out.push(cause.invalid(path, value, message));
};
export const required = (out: Causes, path: string, value: unknown, detail = ''): boolean => {
  if (value !== undefined && value !== '' && value !== null) return true;
  out.push(cause.required(path, detail));
  return false;
};
export const checkLabelName = (out: Causes, path: string, value: string | undefined): void =>
  invalidEach(out, path, value, qualifiedName(value ?? ''));
export const checkDnsLabel = (out: Causes, path: string, value: string): void =>
  invalidEach(out, path, value, dnsLabel(value));
export const checkSubdomain = (out: Causes, path: string, value: string): void =>
  invalidEach(out, path, value, dnsSubdomain(value));

/** Keys and values of a label map; every fault is reported at the map. */
export const checkLabels = (out: Causes, path: string, labels: Record<string, string> | undefined): void => {
  for (const key in labels) {
    checkLabelName(out, path, key);
    invalidEach(out, path, labels[key], labelValue(labels[key] ?? ''));
  }
};

/** metadata.annotations of a template: keys, and 256 KiB in all. */
export const checkAnnotations = (out: Causes, path: string, annotations: Record<string, string> | undefined): void => {
  let size = 0;
  for (const key in annotations) {
    invalidEach(out, path, key, qualifiedName(key.toLowerCase()));
    size += key.length + (annotations[key]?.length ?? 0);
  }
  if (size > 262144) out.push(cause.tooLong(path, 262144));
};

export const nonNegative = (out: Causes, path: string, value: number | undefined): void => {
  if (value !== undefined && value < 0) out.push(cause.invalid(path, value, 'must be greater than or equal to 0'));
};
export const positive = (out: Causes, path: string, value: number | undefined): void => {
  if ((value ?? 0) <= 0) out.push(cause.invalid(path, value ?? 0, 'must be greater than 0'));
};
/** NotSupported where the value is none of `allowed`; an absent one passes. */
export const oneOf = (out: Causes, path: string, value: string | undefined, allowed: readonly string[]): boolean => {
  if (value === undefined || allowed.includes(value)) return true;
  out.push(cause.notSupported(path, value, allowed));
  return false;
};
/** Required where empty, NotSupported where none of `allowed`. */
export const requiredOneOf = (
  out: Causes,
  path: string,
  value: string | undefined,
  allowed: readonly string[],
): boolean => required(out, path, value) && oneOf(out, path, value, allowed);

/** A pod's or class' preemptionPolicy: absent, or one of two. */
export const checkPreemption = (out: Causes, path: string, policy: string | undefined): void => {
  if (policy === '') out.push(cause.required(path));
  else oneOf(out, path, policy, ['PreemptLowerPriority', 'Never']);
};

export const checkPort = (out: Causes, path: string, value: number): void => {
  if (value < 1 || value > 65535) out.push(cause.invalid(path, value, 'must be between 1 and 65535, inclusive'));
};
export const checkPortOrName = (out: Causes, path: string, value: number | string | undefined): void => {
  if (typeof value === 'string') invalidEach(out, path, value, portName(value));
  else checkPort(out, path, value ?? 0);
};
export const checkIP = (out: Causes, path: string, value: string): boolean => {
  const fault = familyOf(value) ? ambiguityOf(value) : 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
  if (fault) out.push(cause.invalid(path, value, fault));
  return !fault;
};
export const checkCidr = (out: Causes, path: string, value: string): boolean => {
  const fault = parseCidr(value)
    ? rangeAmbiguityOf(value)
    : 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  if (fault) out.push(cause.invalid(path, value, fault));
  return !fault;
};
export const nonNegativeQuantity = (out: Causes, path: string, value: string): void => {
  if (signOf(value) < 0) out.push(cause.invalid(path, value, 'must be greater than or equal to 0'));
};

const SELECTOR_VALUES = "must be specified when `operator` is 'In' or 'NotIn'";

/** A LabelSelector (metav1). Absent is valid. */
export const checkSelector = (out: Causes, path: string, selector: LabelSelector | undefined): void => {
  if (!selector) return;
  checkLabels(out, `${path}.matchLabels`, selector.matchLabels);
  (selector.matchExpressions ?? []).forEach((e, i) => {
    const where = at(`${path}.matchExpressions`, i);
    const count = e.values?.length ?? 0;
    if (e.operator === 'In' || e.operator === 'NotIn') {
      if (count === 0) out.push(cause.required(`${where}.values`, SELECTOR_VALUES));
    } else if (e.operator === 'Exists' || e.operator === 'DoesNotExist') {
      if (count > 0) {
        out.push(
          cause.forbidden(`${where}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
      }
    } else out.push(cause.invalid(`${where}.operator`, e.operator ?? '', 'not a valid selector operator'));
    checkLabelName(out, `${where}.key`, e.key);
    (e.values ?? []).forEach((v, n) => {
      invalidEach(out, at(`${where}.values`, n), v, labelValue(v));
    });
  });
};

/** True where the selector has neither labels nor expressions. */
export const isEmptySelector = (selector: LabelSelector | undefined): boolean => {
  for (const _ in selector?.matchLabels) return false;
  return (selector?.matchExpressions?.length ?? 0) === 0;
};

/** Whether labels satisfy a selector; undefined where the selector itself is malformed. */
export const selectorMatches = (
  selector: LabelSelector,
  labels: Readonly<Record<string, string>> | undefined,
): boolean | undefined => {
  const faults: Causes = [];
  checkSelector(faults, '', selector);
  if (faults.length > 0) return undefined;
  for (const key in selector.matchLabels) if (labels?.[key] !== selector.matchLabels[key]) return false;
  for (const e of selector.matchExpressions ?? []) {
    const value = labels?.[e.key];
    const listed = value !== undefined && (e.values ?? []).includes(value);
    if (e.operator === 'In' && !listed) return false;
    if (e.operator === 'NotIn' && listed) return false;
    if (e.operator === 'Exists' && value === undefined) return false;
    if (e.operator === 'DoesNotExist' && value !== undefined) return false;
  }
  return true;
};

const isVoid = (value: unknown): boolean => {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== 'object') return false;
  for (const key in value) if ((value as Record<string, unknown>)[key] !== undefined) return false;
  return true;
};

/** Semantic equality of two decoded values: an empty list or map equals an absent one. */
export const same = (a: unknown, b: unknown): boolean => {
  if (a === b) return true;
  if (isVoid(a) && isVoid(b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  const x = a as Record<string, unknown>;
  const y = b as Record<string, unknown>;
  for (const key in x) if (!same(x[key], y[key])) return false;
  for (const key in y) if (x[key] === undefined && !isVoid(y[key])) return false;
  return true;
};

/** Invalid "field is immutable" where the values differ. */
export const immutable = (out: Causes, path: string, next: unknown, old: unknown): void => {
  if (!same(next, old)) out.push(cause.invalid(path, next, 'field is immutable'));
};
