// How cells of a Table are written: ages, lists cut for width, selectors, quantities of access modes.
import type { Container, LabelSelector } from '../../machinery/kinds.d.ts';

export const NONE = '<none>';
export const UNSET = '<unset>';

/** Seconds as kubectl shows an age: `45s`, `3m5s`, `2h10m`, `5d3h`, `2y30d`. Source: apimachinery HumanDuration. */
export const humanDuration = (ms: number): string => {
  const s = Math.floor(ms / 1000);
  if (s < -1) return '<invalid>';
  if (s < 0) return '0s';
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return s % 60 === 0 ? `${m}m` : `${m}m${s % 60}s`;
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  if (h < 8) return m % 60 === 0 ? `${h}h` : `${h}h${m % 60}m`;
  if (h < 48) return `${h}h`;
  if (h < 192) return h % 24 === 0 ? `${h / 24}d` : `${Math.floor(h / 24)}d${h % 24}h`;
  const d = Math.floor(h / 24);
  if (h < 24 * 365 * 2) return `${d}d`;
  const years = Math.floor(d / 365);
  if (h < 24 * 365 * 8) return d % 365 === 0 ? `${years}y` : `${years}y${d % 365}d`;
  return `${years}y`;
};

export const age = (time: string | undefined, now: number): string =>
  time ? humanDuration(now - Date.parse(time)) : '<unknown>';

export const joined = (values: readonly string[] | undefined, separator = ','): string =>
  values && values.length > 0 ? values.join(separator) : NONE;

/** The first three, then `+ N more...`. */
export const firstThree = (values: readonly string[]): string => {
  if (values.length === 0) return NONE;
  const more = values.length - 3;
  return more > 0 ? `${values.slice(0, 3).join(',')} + ${more} more...` : values.join(',');
};

export const labelsOf = (labels: Record<string, string> | undefined): string =>
  joined(
    Object.entries(labels ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${k}=${v}`),
  );

/** A LabelSelector as one line; '' for an empty one, as upstream's FormatLabelSelector after its `<none>`. */
export const selectorOf = (selector: LabelSelector | undefined): string => {
  const parts = Object.entries(selector?.matchLabels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${v}`);
  for (const e of selector?.matchExpressions ?? []) {
    const values = `(${[...(e.values ?? [])].sort().join(',')})`;
    if (e.operator === 'In') parts.push(`${e.key} in ${values}`);
    else if (e.operator === 'NotIn') parts.push(`${e.key} notin ${values}`);
    else parts.push(e.operator === 'Exists' ? e.key : `!${e.key}`);
  }
  return joined(parts);
};

export const containerNames = (containers: readonly Container[] | undefined): string =>
  (containers ?? []).map((c) => c.name).join(',');
export const containerImages = (containers: readonly Container[] | undefined): string =>
  (containers ?? []).map((c) => c.image ?? '').join(',');

const MODES: Record<string, string> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};
export const accessModes = (modes: readonly string[] | undefined): string =>
  Object.keys(MODES)
    .filter((m) => modes?.includes(m))
    .map((m) => MODES[m])
    .join(',');

/** `True` or `False`, as Go's printers write a flag. */
export const flag = (value: boolean | undefined): string => (value ? 'True' : 'False');
