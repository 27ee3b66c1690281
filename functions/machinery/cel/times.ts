/** Timestamps and durations: their texts, and the fields of a timestamp in a time zone. */
import { Duration, EvalFault, Timestamp } from './values.ts';

const SECOND = 1_000_000_000n;
const UNITS: Record<string, bigint> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: SECOND,
  m: 60n * SECOND,
  h: 3600n * SECOND,
};
const DURATION_MAX = (1n << 63n) - 1n;
const TIMESTAMP_MIN = -62135596800n * SECOND;
const TIMESTAMP_MAX = 253402300799n * SECOND + SECOND - 1n;

/** Go's duration: `1h30m`, `-2.5s`, `0`; undefined for other texts. */
export const parseDuration = (text: string): Duration | undefined => {
  const m = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+|0)$/.exec(text);
  if (!m) return undefined;
  let ns = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of (m[2] ?? '').matchAll(
    /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g,
  )) {
    const size = UNITS[unit] ?? 0n;
    ns += BigInt(whole || '0') * size;
    if (fraction) ns += (BigInt(fraction) * size) / 10n ** BigInt(fraction.length);
  }
  if (m[1] === '-') ns = -ns;
  return ns > DURATION_MAX || ns < -DURATION_MAX ? undefined : new Duration(ns);
};

/** RFC 3339 with up to nanoseconds; undefined for other texts. */
export const parseTimestamp = (text: string): Timestamp | undefined => {
  const m = /^(\d{4}-\d{2}-\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?([Zz]|[+-]\d{2}:\d{2})$/.exec(text);
  if (!m) return undefined;
  const [, date = '', hours = '', minutes = '', seconds = '', fraction = '', zone = ''] = m;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const day = parseDate(date);
  if (!day) return undefined;
  const offset = /^[Zz]$/.test(zone) ? 0 : offsetOf(zone);
  if (offset === undefined) return undefined;
  const total = BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) - offset);
  const ns = day.ns + total * SECOND + BigInt(fraction.slice(0, 9).padEnd(9, '0') || '0');
  return ns < TIMESTAMP_MIN || ns > TIMESTAMP_MAX ? undefined : new Timestamp(ns, offset);
};

/** A full-date of RFC 3339 as midnight in UTC. */
export const parseDate = (text: string): Timestamp | undefined => {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== text) return undefined;
  return new Timestamp(BigInt(ms) * 1_000_000n);
};

const floorDivide = (a: bigint, b: bigint): bigint => (a >= 0n ? a / b : -((-a + b - 1n) / b));

const zoneText = (offset: number): string => {
  if (offset === 0) return 'Z';
  const minutes = Math.floor(Math.abs(offset) / 60);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
};

export const timestampText = ({ ns, offset }: Timestamp): string => {
  const seconds = floorDivide(ns, SECOND);
  const rest = ns - seconds * SECOND;
  const fraction = rest === 0n ? '' : `.${rest.toString().padStart(9, '0').replace(/0+$/, '')}`;
  const clock = new Date((Number(seconds) + offset) * 1000).toISOString().slice(0, 19);
  return `${clock}${fraction}${zoneText(offset)}`;
};

/** A duration in seconds, as CEL writes it: `90s`, `1.5s`. */
export const durationText = ({ ns }: Duration): string => {
  const magnitude = ns < 0n ? -ns : ns;
  const rest = magnitude % SECOND;
  const fraction = rest === 0n ? '' : `.${rest.toString().padStart(9, '0').replace(/0+$/, '')}`;
  return `${ns < 0n ? '-' : ''}${magnitude / SECOND}${fraction}s`;
};

const offsetOf = (zone: string): number | undefined => {
  const m = /^([+-]?)(\d{2}):(\d{2})$/.exec(zone);
  if (!m) return undefined;
  const seconds = Number(m[2]) * 3600 + Number(m[3]) * 60;
  return m[1] === '-' ? -seconds : seconds;
};

/** The offset in seconds that a zone with a colon says: two whole numbers, of hours with a sign and of minutes. */
const zoneOffset = (zone: string): number | undefined => {
  const [hours = '', minutes] = zone.split(/:(.*)/s);
  if (minutes === undefined) return undefined;
  for (const part of [hours, minutes])
    if (!/^[+-]?\d+$/.test(part)) throw new EvalFault(`strconv.Atoi: parsing ${JSON.stringify(part)}: invalid syntax`);
  return Number(hours) * 3600 + (Number(hours) < 0 ? -1 : 1) * Number(minutes) * 60;
};

/** The same wall clock in UTC: what a timestamp shows in a zone, a name of the tz database or an offset. */
const shifted = (time: Timestamp, zone: string | undefined): Date => {
  const ms = Number(floorDivide(time.ns, 1_000_000n));
  if (zone === undefined || zone === '' || zone === 'UTC') return new Date(ms);
  const offset = zoneOffset(zone);
  if (offset !== undefined) return new Date(ms + offset * 1000);
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }).formatToParts(new Date(ms));
    const of = (type: string): number => Number(parts.find((p) => p.type === type)?.value ?? 0);
    const at = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
    return new Date(at + (((ms % 1000) + 1000) % 1000));
  } catch {
    throw new EvalFault(`unknown time zone ${zone}`);
  }
};

/** Fields of a timestamp by the names of their getters. */
export const timestampFields: Record<string, (date: Date) => number> = {
  getFullYear: (d) => d.getUTCFullYear(),
  getMonth: (d) => d.getUTCMonth(),
  getDayOfYear: (d) => Math.floor((d.getTime() - Date.UTC(d.getUTCFullYear(), 0, 1)) / 86_400_000),
  getDayOfMonth: (d) => d.getUTCDate() - 1,
  getDate: (d) => d.getUTCDate(),
  getDayOfWeek: (d) => d.getUTCDay(),
  getHours: (d) => d.getUTCHours(),
  getMinutes: (d) => d.getUTCMinutes(),
  getSeconds: (d) => d.getUTCSeconds(),
  getMilliseconds: (d) => d.getUTCMilliseconds(),
};
export const timestampField = (name: string, time: Timestamp, zone?: string): bigint =>
  BigInt(timestampFields[name]?.(shifted(time, zone)) ?? 0);

/** Parts of a duration, each the whole duration in that unit. */
export const durationParts: Record<string, bigint> = {
  getHours: 3600n * SECOND,
  getMinutes: 60n * SECOND,
  getSeconds: SECOND,
  getMilliseconds: 1_000_000n,
};

export const checkedDuration = (ns: bigint): Duration => {
  if (ns > DURATION_MAX || ns < -DURATION_MAX - 1n) throw new EvalFault('duration overflow');
  return new Duration(ns);
};
export const checkedTimestamp = (ns: bigint, offset = 0): Timestamp => {
  if (ns < TIMESTAMP_MIN || ns > TIMESTAMP_MAX) throw new EvalFault('timestamp overflow');
  return new Timestamp(ns, offset);
};
