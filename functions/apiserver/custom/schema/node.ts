import type { Json } from '../../../machinery/object.ts';
import { formatCheck } from './formats.ts';
import { type Structural, some, valuesOf } from './structural.ts';

/** A schema made ready for the walks over values: validation, pruning, defaulting, uniqueness of list items. */
export interface Node {
  schema: Structural;
  /** Allowed JSON types; empty where any will do. */
  types: readonly string[];
  /** The format that counts for the type, '' where none does. */
  format: string;
  /** Whether a string has the format; absent for formats that only describe. */
  formatCheck: ((text: string) => boolean) | undefined;
  properties: ReadonlyMap<string, Node> | undefined;
  values: Node | undefined;
  /** additionalProperties is given: undeclared fields are kept. */
  open: boolean;
  /** additionalProperties: false. */
  closed: boolean;
  items: Node | undefined;
  allOf: readonly Node[];
  anyOf: readonly Node[];
  oneOf: readonly Node[];
  not: Node | undefined;
  preserve: boolean;
  embedded: boolean;
  nullable: boolean;
  default: Json | undefined;
  listType: string;
  listKeys: readonly string[];
  /** This schema or one below declares lists with unique items. */
  hasUnique: boolean;
  /** This schema or one below declares an embedded resource. */
  hasEmbedded: boolean;
}

const typesOf = (s: Structural): string[] => {
  if (s['x-kubernetes-int-or-string'] === true) return ['integer', 'string'];
  return s.type ? [s.type] : [];
};

const formatOf = (types: readonly string[], format: string | undefined): string => {
  if (!format) return '';
  const type = types.length === 1 ? types[0] : '';
  if (type === 'integer') return format === 'int32' || format === 'int64' ? format : '';
  if (type === 'number') return format === 'float' || format === 'double' ? format : '';
  return (type === '' || type === 'string') && formatCheck(format) ? format : '';
};

const isUnique = (s: Structural): boolean =>
  s['x-kubernetes-list-type'] === 'set' || s['x-kubernetes-list-type'] === 'map';

/** Makes a schema ready; done once per version of a definition. */
export const compileNode = (schema: Structural): Node => {
  const types = typesOf(schema);
  const format = formatOf(types, schema.format);
  const values = valuesOf(schema);
  const preserve = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const all = (list: Structural[] | undefined): Node[] => (list ?? []).map(compileNode);
  const properties = schema.properties && Object.entries(schema.properties);
  return {
    schema,
    types,
    format,
    formatCheck: types.length === 1 && types[0] !== 'string' ? undefined : formatCheck(format),
    properties: properties?.length ? new Map(properties.map(([name, p]) => [name, compileNode(p)])) : undefined,
    values: values && compileNode(values),
    open: schema.additionalProperties !== undefined,
    closed: schema.additionalProperties === false,
    // Below a preserved list nothing is pruned.
    items: schema.items && (preserve ? { ...compileNode(schema.items), preserve } : compileNode(schema.items)),
    allOf: all(schema.allOf),
    anyOf: all(schema.anyOf),
    oneOf: all(schema.oneOf),
    not: schema.not && compileNode(schema.not),
    preserve,
    embedded: schema['x-kubernetes-embedded-resource'] === true,
    nullable: schema.nullable === true,
    default: schema.default ?? undefined,
    listType: schema['x-kubernetes-list-type'] ?? '',
    listKeys: schema['x-kubernetes-list-map-keys'] ?? [],
    hasUnique: some(schema, isUnique),
    hasEmbedded: some(schema, (s) => s['x-kubernetes-embedded-resource'] === true),
  };
};

/** The node of a field: a property's, or that of a map's values. */
export const childNode = (node: Node, name: string): Node | undefined => node.properties?.get(name) ?? node.values;
