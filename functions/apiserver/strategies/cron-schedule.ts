// The syntax of cron schedules: five fields, names of months and days, steps, ranges, and descriptors such as @hourly.
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FIELDS: { min: number; max: number; names: readonly string[] }[] = [
  { min: 0, max: 59, names: [] },
  { min: 0, max: 23, names: [] },
  { min: 1, max: 31, names: [] },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
];
const DESCRIPTORS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];
const DURATION = /^@every ([+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$/;

const numberOf = (text: string, field: (typeof FIELDS)[number]): number | undefined => {
  const named = field.names.indexOf(text.toLowerCase());
  if (named >= 0) return named + field.min;
  return /^\d+$/.test(text) ? Number(text) : undefined;
};

const partFault = (part: string, field: (typeof FIELDS)[number]): string | undefined => {
  const [range = '', step, ...more] = part.split('/');
  if (more.length > 0) return `too many slashes: ${part}`;
  const [from = '', to, ...rest] = range.split('-');
  if (rest.length > 0) return `too many hyphens: ${part}`;
  const any = from === '*' || from === '?';
  if (any && to !== undefined) return `failed to parse ${part}`;
  const start = any ? field.min : numberOf(from, field);
  let end = any ? field.max : to === undefined ? start : numberOf(to, field);
  if (start === undefined || end === undefined) return `failed to parse int from ${part}`;
  if (step !== undefined && to === undefined) end = field.max;
  if (step !== undefined && (!/^\d+$/.test(step) || Number(step) === 0))
    return `step of range should be a positive number: ${part}`;
  if (start < field.min) return `beginning of range (${start}) below minimum (${field.min}): ${part}`;
  if (end > field.max) return `end of range (${end}) above maximum (${field.max}): ${part}`;
  return start > end ? `beginning of range (${start}) beyond end of range (${end}): ${part}` : undefined;
};

/** Why a schedule is none; undefined where it is one. `zoned`: spec.timeZone is set, so TZ= may not be. */
export const cronFault = (schedule: string, zoned: boolean): string | undefined => {
  if (schedule.includes('TZ')) {
    return zoned
      ? 'cannot use both timeZone field and TZ or CRON_TZ in schedule'
      : 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
  }
  if (schedule.startsWith('@')) {
    return DESCRIPTORS.includes(schedule) || DURATION.test(schedule)
      ? undefined
      : `unrecognized descriptor: ${schedule}`;
  }
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== 5) return `expected exactly 5 fields, found ${parts.length}: ${schedule}`;
  for (const [i, field] of FIELDS.entries()) {
    for (const part of (parts[i] ?? '').split(',').filter((p) => p !== '')) {
      const fault = partFault(part, field);
      if (fault) return fault;
    }
  }
  return undefined;
};

/** Why a time zone is none: it must be one of the IANA database, and `Local` is not. */
export const timeZoneFault = (zone: string): string | undefined => {
  if (zone === '') return 'timeZone must be nil or non-empty string';
  if (zone.toLowerCase() === 'local') return 'timeZone must be an explicit time zone as defined in the IANA database';
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return /^[A-Za-z0-9_+\-/]+$/.test(zone) ? undefined : `unknown time zone ${zone}`;
  } catch {
    return `unknown time zone ${zone}`;
  }
};
