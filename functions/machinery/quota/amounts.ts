import {
  addQuantity,
  canonicalQuantity,
  compareQuantity,
  formatQuantity,
  quantityValue,
  subQuantity,
} from '../quantity.ts';

/** Quantities by name: what an object uses (`requests.cpu`, `pods`), or what a quota allows. */
export type Amounts = Record<string, string>;

/** The sum of two quantities in canonical form; an absent one is nothing. */
export const plus = (a: string | undefined, b: string): string =>
  a === undefined ? canonicalQuantity(b) : formatQuantity(addQuantity(String(a), String(b)));

/** The sum by name. */
export const addAmounts = (a: Amounts, b: Amounts): Amounts => {
  const total = { ...a };
  for (const name in b) total[name] = plus(total[name], b[name] as string);
  return total;
};

/** The larger by name. */
export const maxAmounts = (a: Amounts, b: Amounts): Amounts => {
  const most = { ...a };
  for (const name in b) {
    const known = most[name];
    const other = b[name] as string;
    if (known === undefined || compareQuantity(known, other) < 0) most[name] = other;
  }
  return most;
};

/** How much more `next` is than `before`, by name of `next`; what grew less than nothing is left out. */
export const growth = (next: Amounts, before: Amounts): Amounts => {
  const more: Amounts = {};
  for (const name in next) {
    const value = next[name] as string;
    const difference = before[name] === undefined ? value : formatQuantity(subQuantity(value, before[name]));
    if (compareQuantity(difference, '0') > 0) more[name] = difference;
  }
  return more;
};

/** The amounts of these names, without what is nothing. */
export const masked = (amounts: Amounts, names: (name: string) => boolean): Amounts => {
  const kept: Amounts = {};
  for (const name in amounts) {
    const value = amounts[name] as string;
    if (names(name) && compareQuantity(value, '0') !== 0) kept[name] = value;
  }
  return kept;
};

/** `cpu=1,memory=1Gi`, by name, as refusals show amounts. */
export const amountsText = (amounts: Amounts): string =>
  Object.keys(amounts)
    .sort()
    .map((name) => `${name}=${canonicalQuantity(amounts[name] as string)}`)
    .join(',');

/** Whole units, rounded up: storage is counted in whole bytes. */
export const wholeUnits = (quantity: string): string => {
  const value = quantityValue(quantity);
  return compareQuantity(quantity, String(value)) === 0 ? canonicalQuantity(quantity) : String(value);
};
