/** What went wrong, by kind: the first of each is told in full, the rest are counted. */
export interface Findings {
  add(what: string, index: number, detail: string): void;
  readonly count: number;
  report(): string;
}

interface Finding {
  what: string;
  times: number;
  indices: number[];
  detail: string;
}

/** Findings that differ in names and numbers only are one. */
const kindOf = (what: string): string =>
  what
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>')
    .replace(/\d+/g, 'N')
    .replace(/"(?:[^"\\]|\\.){0,400}"/g, '""')
    .slice(0, 130);

export const createFindings = (say: (line: string) => void): Findings => {
  const all = new Map<string, Finding>();
  let count = 0;
  return {
    add: (what, index, detail) => {
      count++;
      const kind = kindOf(what);
      const known = all.get(kind);
      if (!known) {
        all.set(kind, { what, times: 1, indices: [index], detail });
        say(`${index}: ${what.slice(0, 1200)}\n    ${detail.slice(0, 2000)}`);
      } else {
        known.times++;
        if (known.indices.length < 5) known.indices.push(index);
      }
    },
    get count() {
      return count;
    },
    report: () =>
      [...all.values()]
        .sort((a, b) => b.times - a.times)
        .map(({ what, times, indices, detail }) => `${times} times, at ${indices.join(', ')}: ${what}\n    ${detail}`)
        .join('\n'),
  };
};
