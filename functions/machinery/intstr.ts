/**
 * IntOrString values: a number, or text such as `25%`.
 *
 *   scaledValue('25%', 10, 'up') -> 3     throws RangeError where the text is no percentage
 *   percentOf('25%') -> 25                undefined where it is none
 */
export type IntOrString = number | string;

/** The number of a percentage such as `25%`; undefined for anything else. */
export const percentOf = (value: IntOrString): number | undefined => {
  const m = typeof value === 'string' ? /^([+-]?\d+)%$/.exec(value) : null;
  return m ? Number(m[1]) : undefined;
};

/** An absolute value: a number as it is, a percentage of `total` rounded up or down. */
export const scaledValue = (value: IntOrString, total: number, round: 'up' | 'down'): number => {
  if (typeof value === 'number') return value;
  const percent = percentOf(value);
  if (percent === undefined)
    throw new RangeError('invalid value for IntOrString: invalid type: string is not a percentage');
  const part = (percent * total) / 100;
  return round === 'up' ? Math.ceil(part) : Math.floor(part);
};
