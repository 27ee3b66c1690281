import type { Json } from '../../../machinery/object.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import { matchesPattern, patternError } from '../../../machinery/regex.ts';
import { type Cause, cause } from '../../../machinery/status.ts';
import type { Node } from './node.ts';

/** A violated keyword: the sentence that tells two faults apart, and the cause a client is told. */
export interface Failure {
  text: string;
  cause: Cause;
}

type Report = (failure: Failure) => void;
const invalid = (report: Report, path: string, value: unknown, rest: string): void => {
  const text = `${path} in body ${rest}`;
  report({ text, cause: cause.invalid(path, value, text) });
};
/** A fault that upstream tells without saying where. */
export const unplaced = (text: string): Failure => ({ text, cause: cause.invalid('<nil>', '', text) });

/** The JSON type of a value, with integers told from other numbers. */
export const typeName = (value: Json): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2 ** 63 ? 'integer' : 'number';
  return typeof value;
};

/** The fault of a value of the wrong type; `wanted` is a format where that is what the value misses. */
export const wrongType = (path: string, wanted: string, value: string): Failure => {
  const text = `${path} in body must be of type ${wanted}: ${JSON.stringify(value)}`;
  return { text, cause: cause.typeInvalid(path, value, text) };
};

/** Why a value is not of its schema's type; undefined where it is. */
export const typeFailure = (node: Node, value: Json, path: string): Failure | undefined => {
  const { types, format } = node;
  if (value === null) return types.length > 0 && !node.nullable ? wrongType(path, types.join(','), 'null') : undefined;
  const type = typeName(value);
  const fits = types.includes(type) || (type === 'integer' && types.includes('number'));
  const textual = typeof value === 'string' || Array.isArray(value);
  if (format && !textual && !fits) return wrongType(path, format, type);
  if (format && textual && !types.includes('number') && !types.includes('integer')) return undefined;
  return fits ? undefined : wrongType(path, types.join(','), type);
};

/** Whether a bound or a value can be of the schema's own number type: an int32 that overflows cannot. */
const inRange = (node: Node, value: number): boolean => {
  if (node.types.length !== 1) return true;
  if (node.types[0] === 'integer')
    return typeName(value) === 'integer' && (node.format !== 'int32' || (value >= -(2 ** 31) && value < 2 ** 31));
  return node.format !== 'float' || Math.abs(value) <= 3.4028235677973366e38;
};
const range = (report: Report, node: Node, value: number, what: string, path: string): boolean => {
  if (inRange(node, value)) return true;
  const kind = node.format ? `with format ${node.format}` : '(default format)';
  report(unplaced(`${what} value must be of type ${node.types[0]} ${kind} in ${path}`));
  return false;
};

export const checkNumber = (report: Report, node: Node, value: number, path: string): void => {
  const { multipleOf, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = node.schema;
  const whole = Number.isInteger(value);
  range(report, node, value, 'Checked', path);
  if (multipleOf !== undefined) {
    const exact = range(report, node, multipleOf, 'MultipleOf', path) && whole;
    const factor = exact ? Math.trunc(multipleOf) : multipleOf;
    if (factor <= 0) {
      const text = `factor MultipleOf declared for ${path} must be positive: ${factor}`;
      report({ text, cause: cause.invalid(path, factor, text) });
    } else if (!Number.isInteger(factor < 1 ? (1 / factor) * value : value / factor))
      invalid(report, path, value, `should be a multiple of ${multipleOf}`);
  }
  if (maximum !== undefined) {
    const bound = range(report, node, maximum, 'Maximum boundary', path) && whole ? Math.trunc(maximum) : maximum;
    if (exclusiveMaximum ? value >= bound : value > bound)
      invalid(report, path, value, `should be less than ${exclusiveMaximum ? '' : 'or equal to '}${bound}`);
  }
  if (minimum !== undefined) {
    const bound = range(report, node, minimum, 'Minimum boundary', path) && whole ? Math.trunc(minimum) : minimum;
    if (exclusiveMinimum ? value <= bound : value < bound)
      invalid(report, path, value, `should be greater than ${exclusiveMinimum ? '' : 'or equal to '}${bound}`);
  }
};

/** The number of code points of a text. */
export const codePoints = (text: string): number => {
  let n = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c < 0xd800 || c > 0xdbff || !(text.charCodeAt(i + 1) >= 0xdc00 && text.charCodeAt(i + 1) <= 0xdfff)) n++;
  }
  return n;
};

/** Lengths and the pattern; only the first fault is told. */
export const checkString = (report: Report, node: Node, value: string, path: string): void => {
  const { maxLength, minLength, pattern } = node.schema;
  if (maxLength !== undefined && value.length > maxLength && codePoints(value) > maxLength) {
    const text = `${path} in body should be at most ${maxLength} chars long`;
    report({ text, cause: cause.tooLong(path, maxLength) });
  } else if (minLength !== undefined && (value.length < minLength || codePoints(value) < minLength))
    invalid(report, path, value, `should be at least ${minLength} chars long`);
  else if (pattern && !matchesPattern(pattern, value)) {
    const broken = patternError(pattern);
    invalid(
      report,
      path,
      value,
      `should match '${broken ? `${pattern}, but pattern is invalid: ${broken}` : pattern}'`,
    );
  }
};

export const checkEnum = (report: Report, node: Node, value: Json, path: string): void => {
  const allowed = node.schema.enum;
  if (!allowed?.length) return;
  for (const one of allowed) if (one !== null && (one === value || equalJson(one, value))) return;
  const names = allowed.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
  report({
    text: `${path} in body should be one of [${names.join(' ')}]`,
    cause: cause.notSupported(path, value, names),
  });
};

export const checkItemCount = (report: Report, node: Node, value: Json[], path: string): void => {
  const { minItems, maxItems, uniqueItems } = node.schema;
  if (minItems !== undefined && value.length < minItems)
    invalid(report, path, value.length, `should have at least ${minItems} items`);
  if (maxItems !== undefined && value.length > maxItems) {
    const text = `${path} in body should have at most ${maxItems} items`;
    report({ text, cause: cause.tooMany(path, value.length, maxItems) });
  }
  if (uniqueItems && value.some((item, i) => value.slice(0, i).some((other) => equalJson(other, item))))
    invalid(report, path, '', "shouldn't contain duplicates");
};

export const checkPropertyCount = (report: Report, node: Node, count: number, path: string): void => {
  const { minProperties, maxProperties } = node.schema;
  if (minProperties !== undefined && count < minProperties)
    invalid(report, path, count, `should have at least ${minProperties} properties`);
  if (maxProperties !== undefined && count > maxProperties) {
    const text = `${path} in body should have at most ${maxProperties} properties`;
    report({ text, cause: cause.tooMany(path, count, maxProperties) });
  }
};

export const missingField = (path: string): Failure => ({
  text: `${path} in body is required`,
  cause: cause.required(path),
});
export const forbiddenField = (path: string, name: string): Failure => {
  const text = `${path}.${name} in body is a forbidden property`;
  return { text, cause: cause.invalid(path, '', text) };
};
