import type { Job, Pod } from '../../machinery/kinds.d.ts';

export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';
export const failuresAnnotation = 'batch.kubernetes.io/job-index-failure-count';

export const isIndexed = (job: Job): boolean => job.spec?.completionMode === 'Indexed';

/** A pod's completion index; undefined where it has none or it is out of range. */
export const indexOf = (job: Job, pod: Pod): number | undefined => {
  const index = Number.parseInt(pod.metadata.annotations?.[indexAnnotation] ?? '', 10);
  return Number.isNaN(index) || index < 0 || index >= (job.spec?.completions ?? 0) ? undefined : index;
};

export const failureCountOf = (pod: Pod): number =>
  Number.parseInt(pod.metadata.annotations?.[failuresAnnotation] ?? '0', 10) || 0;

/** `1,3-5,7` -> the numbers, below `limit`. */
export const parseIndexes = (text: string | undefined, limit: number): Set<number> => {
  const found = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    if (part === '') continue;
    const [first = '', last = first] = part.split('-');
    for (let i = Number(first); i <= Number(last) && i < limit; i++) found.add(i);
  }
  return found;
};

/** The numbers as `1,3-5,7`; two neighbours are written with a comma. */
export const formatIndexes = (indexes: ReadonlySet<number>): string => {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    const first = sorted[i] ?? 0;
    let last = first;
    while (sorted[i + 1] === last + 1) {
      last++;
      i++;
    }
    i++;
    parts.push(first === last ? `${first}` : last === first + 1 ? `${first},${last}` : `${first}-${last}`);
  }
  return parts.join(',');
};
