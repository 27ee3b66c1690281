// Reads the tables: yaml files of cases, the short forms written out as steps.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const values = z.record(z.string(), z.unknown());

const expectation = z.strictObject({
  status: z.union([z.number(), z.array(z.number())]).optional(),
  /** Of a Status. */
  reason: z.string().optional(),
  /** Of a Status, all of them in any order: `REASON FIELD`, e.g. `FieldValueInvalid spec.ports[0].port`. */
  causes: z.array(z.string()).optional(),
  /** Path into the body -> the value there: objects in part, lists in whole; null means absent. */
  body: values.optional(),
  /** Header name -> value; null means absent, `/x/` a pattern. */
  headers: z.record(z.string(), z.string().nullable()).optional(),
  /** How many `Warning: 299` headers. */
  warnings: z.number().optional(),
  /** Pattern that the body's text matches, for answers that are no JSON. */
  text: z.string().optional(),
  /** Of a watch, in order: `TYPE NAME`. */
  events: z.array(z.string()).optional(),
});

const step = z.strictObject({
  /** `METHOD /path?query`; `$NS` is the case's namespace, `$ID` a prefix of its own, `${x}` what a step kept. */
  do: z.string(),
  /** Name of an object of `bases`, or of one that a step kept. */
  send: z.string().optional(),
  set: values.optional(),
  body: z.unknown().optional(),
  type: z.string().optional(),
  accept: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  /** User to impersonate, with groups behind it: `jane,devs`. */
  as: z.string().optional(),
  /** Name -> path into the body (`.` the whole of it), or `@header`. */
  keep: z.record(z.string(), z.string()).optional(),
  /** Repeats the request for up to this many seconds until the expectation holds. */
  within: z.number().optional(),
  expect: expectation.optional(),
});

const testCase = z.strictObject({
  name: z.string(),
  follows: z.string().optional(),
  base: z.string().optional(),
  /** Changes to the base before it is created. */
  set: values.optional(),
  /** Created before it: names of bases. */
  first: z.array(z.string()).optional(),
  /** Changes to what the create returned, put back. */
  update: values.optional(),
  /** A merge patch of what was created. */
  patch: z.unknown().optional(),
  /** Subresource that the update or patch goes to. */
  via: z.string().optional(),
  query: z.string().optional(),
  /** The last request is refused as Invalid with these causes. */
  refuses: z.array(z.string()).optional(),
  /** The last request is accepted, and its answer holds these. */
  gives: values.optional(),
  expect: expectation.optional(),
  steps: z.array(step).optional(),
});

const section = z.strictObject({
  follows: z.string(),
  base: z.string().optional(),
  cases: z.array(testCase),
});

const table = z.strictObject({
  area: z.string(),
  bases: z.record(z.string(), values).optional(),
  sections: z.array(section),
});

export type Expectation = z.infer<typeof expectation>;
export type Step = z.infer<typeof step>;
/** A case as it runs. `id` is `FILE: NAME`; `follows` the KEP, API convention or page whose rule it holds. */
export interface Case {
  id: string;
  file: string;
  name: string;
  area: string;
  follows: string;
  steps: Step[];
  bases: Record<string, Record<string, unknown>>;
}

interface Resource {
  group: string;
  version: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}
const resources = (
  JSON.parse(readFileSync(join(import.meta.dirname, '../../facts/resources.json'), 'utf8')) as { resources: Resource[] }
).resources;

/** The collection that an object of a built-in kind is created in. */
const collectionOf = (object: Record<string, unknown>): string => {
  const { apiVersion, kind } = object as { apiVersion: string; kind: string };
  const found = resources.find(
    (one) => one.kind === kind && (one.group ? `${one.group}/${one.version}` : one.version) === apiVersion,
  );
  if (!found) throw new Error(`no resource for ${apiVersion} ${kind}`);
  const root = found.group ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}${found.namespaced ? '/namespaces/$NS' : ''}/${found.plural}`;
};

const judged = (one: z.infer<typeof testCase>, created: boolean): Expectation => {
  if (one.refuses)
    return {
      ...one.expect,
      status: 422,
      reason: 'Invalid',
      causes: one.refuses,
    };
  if (one.gives)
    return {
      ...one.expect,
      status: created ? 201 : 200,
      body: { ...one.gives, ...one.expect?.body },
    };
  return one.expect ?? { status: created ? 201 : 200 };
};

/** The steps of a case in short form: create the base, then perhaps update or patch it. */
const stepsOf = (one: z.infer<typeof testCase>, base: string | undefined, bases: Case['bases']): Step[] => {
  if (one.steps) return one.steps;
  const object = bases[base ?? ''];
  if (!object || !base) throw new Error(`${one.name}: no base "${base}"`);
  const path = collectionOf(object);
  const query = one.query ? `?${one.query}` : '';
  const first = (one.first ?? []).map((name): Step => {
    const before = bases[name];
    if (!before) throw new Error(`${one.name}: no base "${name}"`);
    return {
      do: `POST ${collectionOf(before)}`,
      send: name,
      expect: { status: 201 },
    };
  });
  const create: Step = {
    do: `POST ${path}`,
    send: base,
    ...(one.set && { set: one.set }),
  };
  if (!one.update && one.patch === undefined)
    return [...first, { ...create, do: `POST ${path}${query}`, expect: judged(one, true) }];
  const made: Step = {
    ...create,
    keep: { made: '.', name: 'metadata.name' },
    expect: { status: 201 },
  };
  const target = `${path}/\${name}${one.via ? `/${one.via}` : ''}${query}`;
  const change: Step = one.update
    ? { do: `PUT ${target}`, send: 'made', set: one.update }
    : {
        do: `PATCH ${target}`,
        body: one.patch,
        type: 'application/merge-patch+json',
      };
  return [...first, made, { ...change, expect: judged(one, false) }];
};

const folder = join(import.meta.dirname, 'tables');

/** Every case of the tables, or of those files whose name holds `only`. A malformed table throws with its path. */
export const readCases = (only = '', from = folder): Case[] =>
  readdirSync(from, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml') && file.includes(only))
    .sort()
    .flatMap((file) => {
      const read = table.safeParse(parse(readFileSync(join(from, file), 'utf8')));
      if (!read.success) throw new Error(`${file}: ${z.prettifyError(read.error)}`);
      const { area, sections, bases = {} } = read.data;
      return sections.flatMap((part) =>
        part.cases.map((one) => ({
          id: `${file.replace(/\.yaml$/, '')}: ${one.name}`,
          file,
          name: one.name,
          area,
          follows: one.follows ?? part.follows,
          steps: stepsOf(one, one.base ?? part.base, bases),
          bases,
        })),
      );
    });
