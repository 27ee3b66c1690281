/** When a schedule is due, in milliseconds since the epoch. */
export interface Schedule {
  /** The first time after `after`; undefined when there is none within five years. */
  next(after: number): number | undefined;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
const searchDays = 5 * 366;
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const descriptors: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

interface Field {
  values: ReadonlySet<number>;
  /** Written as `*` or `?`: the other of day and weekday decides alone. */
  any: boolean;
}

const field = (text: string, min: number, max: number, names: readonly string[] = []): Field | undefined => {
  const values = new Set<number>();
  let any = false;
  const numberOf = (word: string): number => {
    const named = names.indexOf(word.toLowerCase());
    return named >= 0 ? named + min : /^\d+$/.test(word) ? Number(word) : Number.NaN;
  };
  for (const part of text.split(',')) {
    const [range = '', step] = part.split('/');
    const star = range === '*' || range === '?';
    if (star && (step === undefined || step === '1')) any = true;
    const [from = '', to] = range.split('-');
    const start = star ? min : numberOf(from);
    const end = star || (to === undefined && step !== undefined) ? max : to === undefined ? start : numberOf(to);
    const by = step === undefined ? 1 : Number(step);
    if (!(start >= min && end <= max && start <= end && by > 0)) return undefined;
    for (let value = start; value <= end; value += by) values.add(value);
  }
  return { values, any };
};

const formats = new Map<string, Intl.DateTimeFormat>();

/** What the wall clock of a zone is ahead of UTC at an instant, in milliseconds. Throws RangeError for an unknown zone. */
const offsetAt = (zone: string, at: number): number => {
  if (zone === 'UTC') return 0;
  let format = formats.get(zone);
  if (!format) {
    const numeric = 'numeric' as const;
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
      second: numeric,
    });
    formats.set(zone, format);
  }
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1000) * 1000;
};

/** The instants that a zone calls `wall`: none in the hour that is skipped, two in the hour that comes twice. */
const instantsOf = (zone: string, wall: number, offsets: readonly number[]): number[] =>
  offsets.map((offset) => wall - offset).filter((at) => offsets.length === 1 || at + offsetAt(zone, at) === wall);

const every = (text: string): Schedule | undefined => {
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  }
  const step = Math.max(1_000, Math.floor(ms / 1_000) * 1_000);
  return { next: (after) => Math.floor(after / 1_000) * 1_000 + step };
};

/**
 * A cron schedule of five fields or a descriptor, read by the wall clock of an IANA time zone (UTC where none is given).
 * Undefined for a schedule or zone that is none. Day and weekday: either suffices when both are restricted.
 */
export const parseSchedule = (text: string, timeZone: string | undefined): Schedule | undefined => {
  const zone = timeZone || 'UTC';
  try {
    offsetAt(zone, 0);
  } catch {
    return undefined;
  }
  if (text.startsWith('@every ')) return every(text);
  const parts = (descriptors[text] ?? text).trim().split(/\s+/);
  const [a = '', b = '', c = '', d = '', e = ''] = parts;
  const [minute, hour] = [field(a, 0, 59), field(b, 0, 23)];
  const [day, month, weekday] = [field(c, 1, 31), field(d, 1, 12, months), field(e, 0, 6, weekdays)];
  if (parts.length !== 5 || !minute || !hour || !day || !month || !weekday) return undefined;
  const sorted = ({ values }: Field) => [...values].sort((x, y) => x - y);
  const minutes = sorted(hour).flatMap((h) => sorted(minute).map((m) => (h * 60 + m) * minuteMs));
  const onDay = (wallDay: number): boolean => {
    const date = new Date(wallDay);
    if (!month.values.has(date.getUTCMonth() + 1)) return false;
    const [byDay, byWeekday] = [day.values.has(date.getUTCDate()), weekday.values.has(date.getUTCDay())];
    return day.any || weekday.any ? byDay && byWeekday : byDay || byWeekday;
  };
  const first = (wallDay: number, after: number): number | undefined => {
    const offsets = [...new Set([offsetAt(zone, wallDay - dayMs), offsetAt(zone, wallDay + 2 * dayMs)])];
    let found: number | undefined;
    for (const passed of minutes) {
      for (const at of instantsOf(zone, wallDay + passed, offsets)) {
        if (at > after && (found === undefined || at < found)) found = at;
      }
      if (found !== undefined && offsets.length === 1) break;
    }
    return found;
  };
  return {
    next(after) {
      const wall = after + offsetAt(zone, after);
      const today = Math.floor(wall / dayMs) * dayMs;
      for (let i = 0; i < searchDays; i++) {
        const wallDay = today + i * dayMs;
        const found = onDay(wallDay) ? first(wallDay, after) : undefined;
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
};

/** RFC 3339 with the zone's offset, as the annotation of a scheduled Job has it. */
export const zonedTimestamp = (at: number, timeZone: string | undefined): string => {
  const offset = offsetAt(timeZone || 'UTC', at);
  const local = new Date(at + offset).toISOString().slice(0, 19);
  if (offset === 0) return `${local}Z`;
  const minutes = Math.abs(offset) / minuteMs;
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  return `${local}${offset < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
};

const windows = [1, 24, 31 * 24, 366 * 24, 5 * 366 * 24].map((hours) => hours * 3_600_000);

/** The last time due in (since, until], and how many were, counted to 101; undefined when none was. */
export const lastDue = (
  schedule: Schedule,
  since: number,
  until: number,
): { at: number; count: number } | undefined => {
  let count = 0;
  for (let at = schedule.next(since); at !== undefined && at <= until && count <= 100; at = schedule.next(at)) count++;
  if (count === 0) return undefined;
  for (const window of windows) {
    let found: number | undefined;
    const from = Math.max(since, until - window);
    for (let at = schedule.next(from); at !== undefined && at <= until; at = schedule.next(at)) found = at;
    if (found !== undefined) return { at: found, count };
  }
  return undefined;
};
