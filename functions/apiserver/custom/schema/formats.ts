import { parseAddress, parseRange } from '../../../machinery/address.ts';
import { parseRequestUri } from '../../../machinery/go-url.ts';

/** String formats that custom resources are held to (apiextensions: supported formats of 1.36), by name without dashes. */
const hex = '[0-9a-f]';
const uuid = (version: string, variant: string): RegExp =>
  new RegExp(`^${hex}{8}-?${hex}{4}-?${version}-?${variant}-?${hex}{12}$`, 'i');
const any4 = `${hex}{4}`;
const variant4 = `[89ab]${hex}{3}`;

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const longName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const hostname =
  /^([a-zA-Z0-9\p{S}\p{L}]((-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|([a-zA-Z0-9\p{S}\p{L}](([a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(\.))+([a-zA-Z\p{L}]){2,63})$/u;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/;
const channel = '(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])';
const rgb = new RegExp(`^rgb\\(\\s*${channel}\\s*,\\s*${channel}\\s*,\\s*${channel}\\s*\\)$`);
const card =
  /^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11}|6[27][0-9]{14})$/;
const dateTime = /^(\d{2}):(\d{2}):(\d{2})(.\d+)?(z|([+-]\d{2}:\d{2}))$/;
const address = /^[^\s@<>()[\],;:\\"]+@[^\s@<>()[\],;:\\"]+$/;

const isDate = (text: string): boolean => {
  const m = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!m) return false;
  const made = new Date(Date.UTC(2000, 0, 1));
  made.setUTCFullYear(Number(m[1]), Number(m[2]) - 1, Number(m[3]));
  return made.getUTCMonth() === Number(m[2]) - 1 && made.getUTCDate() === Number(m[3]);
};
const isDateTime = (text: string): boolean => {
  const parts = text.toLowerCase().split('t');
  if (text.length < 4 || parts.length < 2 || !isDate(parts[0] ?? '')) return false;
  const m = dateTime.exec(parts[1] ?? '');
  return m !== null && (m[1] ?? '') <= '23' && (m[2] ?? '') <= '59' && (m[3] ?? '') <= '59';
};
/** Go's durations, and the looser ones with words for units. */
const isDuration = (text: string): boolean => {
  if (/^[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$/.test(text)) return true;
  const units = /^(ns|us|µs|ms|s|m|h|hr|d|w|wk)$|^(nano|micro|milli|sec|min|hour|day|week)/i;
  return [...text.matchAll(/\d+\s*([A-Za-zµ]+)/g)].some((m) => units.test(m[1] ?? ''));
};
const luhn = (digits: string): boolean => {
  let sum = 0;
  [...digits].reverse().forEach((digit, i) => {
    const twice = i % 2 === 1 ? Number(digit) * 2 : Number(digit);
    sum += twice > 9 ? twice - 9 : twice;
  });
  return sum % 10 === 0;
};
const isCard = (text: string): boolean => {
  const digits = text.replace(/[^0-9]+/g, '');
  return card.test(digits) && luhn(digits);
};
const isbn10 = (text: string): boolean => {
  const digits = text.replace(/[\s-]+/g, '');
  if (!/^(?:[0-9]{9}X|[0-9]{10})$/.test(digits)) return false;
  let sum = 0;
  [...digits].forEach((digit, i) => {
    sum += (10 - i) * (digit === 'X' ? 10 : Number(digit));
  });
  return sum % 11 === 0;
};
const isbn13 = (text: string): boolean => {
  const digits = text.replace(/[\s-]+/g, '');
  if (!/^[0-9]{13}$/.test(digits)) return false;
  let sum = 0;
  [...digits].forEach((digit, i) => {
    sum += Number(digit) * (i % 2 === 0 ? 1 : 3);
  });
  return sum % 10 === 0;
};
const isHostname = (text: string): boolean =>
  hostname.test(text) &&
  Buffer.byteLength(text) <= 255 &&
  text.split('.').every((part) => Buffer.byteLength(part) <= 63);
const isMac = (text: string): boolean =>
  [2, 4].some((width) => {
    const separator = width === 4 ? '\\.' : '[:-]';
    const groups = width === 4 ? '3|4|10' : '6|8|20';
    return groups.split('|').some((n) => {
      const one = new RegExp(
        `^${hex}{${width}}(${separator})(${hex}{${width}}\\1){${Number(n) - 2}}${hex}{${width}}$`,
        'i',
      );
      return one.test(text);
    });
  });
const isEmail = (text: string): boolean => {
  const named = /^\s*(?:"[^"]*"|[^<>@"]*)\s*<([^<>]+)>\s*$/.exec(text);
  const spec = (named?.[1] ?? text).trim();
  return address.test(spec) && !/^\.|\.\.|\.@|@\.|\.$/.test(spec);
};

const checks: Record<string, (text: string) => boolean> = {
  bsonobjectid: (text) => /^[0-9a-fA-F]{24}$/.test(text),
  uri: (text) => parseRequestUri(text) !== undefined,
  email: isEmail,
  hostname: isHostname,
  ipv4: (text) => parseAddress(text, true)?.family === 4,
  ipv6: (text) => text.includes(':') && !text.includes('%') && parseAddress(text)?.family === 6,
  cidr: (text) => parseRange(text, true) !== undefined,
  mac: isMac,
  uuid: (text) => uuid(any4, any4).test(text),
  uuid3: (text) => uuid(`3${hex}{3}`, any4).test(text),
  uuid4: (text) => uuid(`4${hex}{3}`, variant4).test(text),
  uuid5: (text) => uuid(`5${hex}{3}`, variant4).test(text),
  isbn: (text) => isbn10(text) || isbn13(text),
  isbn10,
  isbn13,
  creditcard: isCard,
  ssn: (text) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text),
  hexcolor: (text) => /^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/.test(text),
  rgbcolor: (text) => rgb.test(text),
  byte: (text) => base64.test(text),
  password: () => true,
  date: isDate,
  duration: isDuration,
  datetime: isDateTime,
  k8sshortname: (text) => text.length <= 63 && label.test(text),
  k8slongname: (text) => text.length <= 253 && longName.test(text),
};

/** The check of a string format; undefined for a format that Kubernetes ignores. */
export const formatCheck = (format: string): ((text: string) => boolean) | undefined => {
  const name = format.replaceAll('-', '');
  return Object.hasOwn(checks, name) ? checks[name] : undefined;
};
