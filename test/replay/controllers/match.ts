import { type Normal, sorted } from './normal-form.ts';
import type { Expectation } from './play.ts';

const suffix = /(?<=-)([0-9a-z]{5}|\d+)$/;
const generated = /<\d+>$/;

export interface Matcher {
  /** The differences between what was recorded and what is; names that were generated are matched first. */
  compare(expect: Expectation, actual: Normal[], events: NonNullable<Expectation['events']>): string[];
  /** The name here of an object that the recording names. */
  actual(expected: string): string;
}

/** Hashes and generated names differ from the recording's: both are mapped one to one, equal objects freely. */
export const createMatcher = (inOrder: boolean): Matcher => {
  const running = new Map<string, Normal>();
  /** actual hash -> recorded hash */
  const hashes = new Map<string, string>();
  /** actual name -> recorded name, of generated names. */
  const names = new Map<string, string>();

  const translate = (list: unknown): string => {
    let text = JSON.stringify(list);
    for (const [from, to] of hashes) text = text.replaceAll(from, to);
    return text;
  };
  const rename = (text: string): string => {
    let result = text;
    // A whole name only: the claim `data-db-0` and the slice `db-00000` are not the pod `db-0`.
    for (const [from, to] of names) {
      result = result.replaceAll(new RegExp(`(?<![\\w-])${from.replace(/[.]/g, '\\$&')}(?![\\w])`, 'g'), () => to);
    }
    return result;
  };
  const hashOf = (form: Normal): string | undefined =>
    ((form.labels ?? {}) as Record<string, string>)[
      form.kind === 'ControllerRevision' ? 'controller.kubernetes.io/hash' : 'pod-template-hash'
    ] ?? ((form.labels ?? {}) as Record<string, string>)['controller-revision-hash'];

  const mapHashes = (expected: Normal[], actual: Normal[]) => {
    for (const kind of ['ReplicaSet', 'ControllerRevision']) {
      const known = new Set(hashes.values());
      const theirs = expected.filter((form) => form.kind === kind).map(hashOf);
      const ours = actual.filter((form) => form.kind === kind).map(hashOf);
      const newTheirs = [...new Set(theirs)].filter((hash) => hash && !known.has(hash));
      const newOurs = [...new Set(ours)].filter((hash) => hash && !hashes.has(hash));
      newOurs.forEach((hash, i) => {
        const other = newTheirs[i];
        if (hash && other) hashes.set(hash, other);
      });
    }
  };
  const shape = (form: Normal, name: string): string =>
    JSON.stringify(sorted(JSON.parse(JSON.stringify(form).replaceAll(name, '@')) as Normal));

  const mapNames = (expected: Normal[], actual: Normal[]) => {
    const theirs = expected.filter((form) => generated.test(form.name));
    const free = actual.filter((form) => form.kind !== 'ReplicaSet' && suffix.test(form.name));
    const present = new Set(free.map((form) => form.name));
    for (const name of [...names.keys()]) if (!present.has(name)) names.delete(name);
    const groups = new Map<string, Normal[]>();
    for (const form of theirs) {
      const id = `${form.kind} ${form.name.replace(generated, '')}`;
      groups.set(id, [...(groups.get(id) ?? []), form]);
    }
    for (const [id, group] of groups) {
      const candidates = free.filter((form) => `${form.kind} ${form.name.replace(suffix, '')}` === id);
      assign(group, candidates);
    }
  };
  const assign = (group: Normal[], candidates: Normal[]) => {
    const taken = new Set<string>();
    const open = new Set(group);
    const bind = (form: Normal, candidate: Normal) => {
      names.set(candidate.name, form.name);
      taken.add(candidate.name);
      open.delete(form);
    };
    const known = new Map([...names].map(([ours, theirs]) => [theirs, ours]));
    for (const form of group) {
      const candidate = candidates.find((c) => c.name === known.get(form.name));
      if (candidate && (inOrder || shape(candidate, candidate.name) === shape(form, form.name))) bind(form, candidate);
    }
    if (!inOrder) for (const c of candidates) if (!taken.has(c.name)) names.delete(c.name);
    for (const form of [...open]) {
      const same = inOrder
        ? undefined
        : candidates.find((c) => !taken.has(c.name) && shape(c, c.name) === shape(form, form.name));
      if (same) bind(form, same);
    }
    for (const form of [...open]) {
      const rest = candidates.find((c) => !taken.has(c.name) && !(inOrder && names.has(c.name)));
      if (rest) bind(form, rest);
    }
  };

  return {
    actual(expected) {
      for (const [ours, theirs] of names) if (theirs === expected) return back(ours, hashes);
      return back(expected, hashes);
    },
    compare(expect, actual, events) {
      for (const form of expect.objects ?? []) running.set(`${form.kind}/${form.name}`, form);
      for (const id of expect.gone ?? []) running.delete(id);
      const expected = [...running.values()];
      const specs = expected.some((form) => form.kind === 'Pod' && form.spec);
      for (const form of actual) if (form.kind === 'Pod' && !specs) delete form.spec;
      mapHashes(expected, actual);
      const translated = JSON.parse(translate(actual)) as Normal[];
      mapNames(expected, translated);
      const mine = JSON.parse(rename(JSON.stringify(translated))) as Normal[];
      const differences = differ(expected, mine);
      const ours = JSON.parse(rename(translate(events))) as NonNullable<Expectation['events']>;
      return [...differences, ...differEvents(expect.events ?? [], ours)];
    },
  };
};

const back = (name: string, hashes: Map<string, string>): string => {
  let result = name;
  for (const [ours, theirs] of hashes) result = result.replaceAll(theirs, ours);
  return result;
};

const differ = (expected: Normal[], actual: Normal[]): string[] => {
  const left = new Map(actual.map((form) => [`${form.kind}/${form.name}`, form]));
  const differences: string[] = [];
  for (const form of expected) {
    const id = `${form.kind}/${form.name}`;
    const found = left.get(id);
    left.delete(id);
    if (!found) {
      differences.push(`missing ${id}`);
      continue;
    }
    if (form.kind === 'Pod' && found.spec) {
      const wanted = form.spec as Record<string, unknown> | undefined;
      if (!wanted) delete found.spec;
      else
        found.spec = Object.fromEntries(
          Object.keys(wanted).map((k) => [k, (found.spec as Record<string, unknown>)[k]]),
        );
    }
    const a = JSON.stringify(sorted(form));
    const b = JSON.stringify(sorted(found));
    if (a !== b) differences.push(`${id}\n      recorded ${a}\n      here     ${b}`);
  }
  for (const id of left.keys()) differences.push(`too many ${id}`);
  return differences;
};

const differEvents = (
  expected: NonNullable<Expectation['events']>,
  actual: NonNullable<Expectation['events']>,
): string[] => {
  // A recording without a count: it differed from run to run. The volume binder looked again every 5 s of real time.
  const resynced = new Set(['ExternalProvisioning', 'ProvisioningFailed']);
  const open = new Set(
    expected.filter((e) => e.n === undefined || resynced.has(e.reason)).map((e) => `${e.reason} ${e.kind}/${e.name}`),
  );
  const text = (list: NonNullable<Expectation['events']>) =>
    list
      .map((e) => {
        const count = open.has(`${e.reason} ${e.kind}/${e.name}`) ? '' : ` x${e.n}`;
        return `${e.reason} ${e.type} ${e.kind}/${e.name} by ${e.by}${count}`;
      })
      .sort();
  const a = text(expected);
  const b = text(actual);
  return [
    ...a
      .filter((line) => !b.includes(line) && !resynced.has(line.slice(0, line.indexOf(' '))))
      .map((line) => `missing event ${line}`),
    ...b.filter((line) => !a.includes(line)).map((line) => `event too many ${line}`),
  ];
};
