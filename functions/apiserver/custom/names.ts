import type { CustomResourceDefinition } from '../../machinery/kinds.d.ts';
import type { Condition } from './conditions.ts';

export type Names = CustomResourceDefinition['spec']['names'];

interface Taken {
  resources: ReadonlySet<string>;
  kinds: ReadonlySet<string>;
}

/** What the definitions of a group, this one included, have been granted. */
const takenIn = (all: readonly CustomResourceDefinition[], group: string): Taken => {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { spec, status } of all) {
    const names = status?.acceptedNames;
    if (spec.group !== group || !names) continue;
    for (const name of [names.plural, names.singular ?? '', ...(names.shortNames ?? [])]) resources.add(name);
    for (const kind of [names.kind, names.listKind ?? '']) kinds.add(kind);
  }
  return { resources, kinds };
};

const inUse = (name: string): string => `"${name}" is already in use`;
const sameList = (a: readonly string[] = [], b: readonly string[] = []): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

/** True where a definition has been granted all that it asks for. */
export const hasItsNames = ({ spec, status }: CustomResourceDefinition): boolean => {
  const [wanted, had] = [spec.names, status?.acceptedNames];
  if (!had || wanted.plural !== had.plural || wanted.kind !== had.kind) return false;
  if (wanted.singular !== had.singular || wanted.listKind !== had.listKind) return false;
  return sameList(wanted.shortNames, had.shortNames) && sameList(wanted.categories, had.categories);
};

/** Drops what is not set, in the order in which upstream encodes names. */
const ordered = (names: Names): Names => ({
  plural: names.plural,
  ...(names.singular && { singular: names.singular }),
  ...(names.shortNames?.length && { shortNames: names.shortNames }),
  kind: names.kind,
  ...(names.listKind && { listKind: names.listKind }),
  ...(names.categories?.length && { categories: names.categories }),
});

/**
 * The names that a definition is granted within its group, and its NamesAccepted condition: a name goes to whoever holds
 * it; one that is taken stays as it was and is the reason (the last such one, as upstream reports it).
 */
export const acceptNames = (
  crd: CustomResourceDefinition,
  all: readonly CustomResourceDefinition[],
): { names: Names; condition: Condition } => {
  const wanted = crd.spec.names;
  const had: Names = crd.status?.acceptedNames ?? { plural: '', kind: '' };
  const { resources, kinds } = takenIn(all, crd.spec.group);
  const names: Names = { ...had };
  let refused: { reason: string; message: string } | undefined;
  for (const [field, taken] of [
    ['plural', resources],
    ['singular', resources],
  ] as const) {
    const name = wanted[field] ?? '';
    if (name === (had[field] ?? '') || !taken.has(name)) names[field] = name;
    else refused = { reason: field === 'plural' ? 'PluralConflict' : 'SingularConflict', message: inUse(name) };
  }
  if (!sameList(wanted.shortNames, had.shortNames)) {
    const lost = (wanted.shortNames ?? []).filter((name) => !had.shortNames?.includes(name) && resources.has(name));
    if (lost.length === 0) names.shortNames = wanted.shortNames ?? [];
    else {
      const message = lost.length === 1 ? inUse(lost[0] ?? '') : `[${lost.map(inUse).join(', ')}]`;
      refused = { reason: 'ShortNamesConflict', message };
    }
  }
  for (const field of ['kind', 'listKind'] as const) {
    const name = wanted[field] ?? '';
    if (name === (had[field] ?? '') || !kinds.has(name)) names[field] = name;
    else refused = { reason: field === 'kind' ? 'KindConflict' : 'ListKindConflict', message: inUse(name) };
  }
  names.categories = wanted.categories ?? [];
  const verdict = refused ?? { reason: 'NoConflicts', message: 'no conflicts found' };
  return {
    names: ordered(names),
    condition: { type: 'NamesAccepted', status: refused ? 'False' : 'True', ...verdict },
  };
};
