// How an EncryptionConfiguration writes things; apart from what reads whole documents, which most starts do not need.

/** `deployments.apps` as group and resource; `secrets` is of the core group. */
export const parseGroupResource = (text: string): { group: string; resource: string } => {
  const dot = text.indexOf('.');
  return dot < 0 ? { group: '', resource: text } : { group: text.slice(dot + 1), resource: text.slice(0, dot) };
};

/** Milliseconds of a Go duration such as `1m30s`; NaN where it is none. */
export const durationMs = (text: string): number => {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, µs: 1e-3, ns: 1e-6 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join('') !== text) return Number.NaN;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0);
};
