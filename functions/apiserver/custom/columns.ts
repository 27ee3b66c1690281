import type { CustomResourceColumnDefinition } from '../../machinery/kinds.d.ts';
import type { Json, KubeObject } from '../../machinery/object.ts';
import { humanDuration } from '../printers/format.ts';
import type { Cell, Column, TableShape } from '../printers/table.ts';
import { type JsonPath, JsonPathError, parseJsonPath } from './json-path.ts';

/** What a definition without columns is shown with besides the name. */
const AGE: CustomResourceColumnDefinition = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When the object was created.',
};

const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name of the object, unique within its namespace.',
  priority: 0,
};

const sorted = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner ?? null)]));
};

/** Go's JSON: keys in order, and the characters that matter to HTML escaped. */
const goJson = (value: Json): string =>
  JSON.stringify(sorted(value)).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );

const textOf = (value: Json): string => {
  if (value === null) return '<no value>';
  return typeof value === 'object' ? goJson(value) : String(value);
};

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

const dateOf = (value: string, now: number): string => {
  if (value === '' || value === 'null') return '<unknown>';
  const time = RFC3339.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? '<invalid>' : humanDuration(now - time);
};

/** A value under a column's type; null where it is of another type. */
const cellOf = (type: string, value: Json, now: number): Cell => {
  if (type === 'string') return textOf(value);
  if (type === 'integer') return typeof value === 'number' ? Math.trunc(value) : null;
  if (type === 'number') return typeof value === 'number' ? value : null;
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  return type === 'date' && typeof value === 'string' ? dateOf(value, now) : null;
};

interface Read {
  type: string;
  path: JsonPath;
}

const read = ({ type, path }: Read, object: KubeObject, now: number): Cell => {
  let found: Json[];
  try {
    found = path(object as unknown as Json);
  } catch (error) {
    if (error instanceof JsonPathError) return null;
    throw error;
  }
  const [first] = found;
  return first === undefined ? null : cellOf(type, first, now);
};

const parsed = (column: CustomResourceColumnDefinition): Read | undefined => {
  try {
    return { type: column.type, path: parseJsonPath(column.jsonPath) };
  } catch (error) {
    if (error instanceof JsonPathError) return undefined;
    throw error;
  }
};

/** The table of one version: the name, then its columns up to the first whose path does not parse (upstream's fallback). */
export const columnsTable = (given: readonly CustomResourceColumnDefinition[] | undefined): TableShape => {
  const columns: Column[] = [NAME];
  const reads: Read[] = [];
  for (const column of given?.length ? given : [AGE]) {
    const reading = parsed(column);
    if (!reading) break;
    reads.push(reading);
    columns.push({
      name: column.name,
      type: column.type,
      format: column.format ?? '',
      description: column.description || `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
      priority: column.priority ?? 0,
    });
  }
  return {
    columns,
    cells: (object, now) => [object.metadata.name ?? '', ...reads.map((one) => read(one, object, now))],
  };
};
