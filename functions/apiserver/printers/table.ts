import columns from '../../../facts/columns.json' with { type: 'json' };
import type { KubeObject } from '../../machinery/object.ts';
import { builtinPrinters } from './printers.ts';

/** meta.k8s.io/v1 TableColumnDefinition. */
export interface Column {
  name: string;
  type: string;
  format: string;
  description: string;
  priority: number;
}
export type Cell = string | number | boolean | null;
/** A condition of a row: kubectl greys out completed pods by it. */
export interface RowCondition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

/** How one kind is shown as a table. `now` is in milliseconds since the epoch. */
export interface TableShape {
  columns: readonly Column[];
  cells(object: KubeObject, now: number): Cell[];
  conditions?(object: KubeObject): RowCondition[] | undefined;
  /** Of the rows of one answer; as the objects come where absent. */
  order?(a: KubeObject, b: KubeObject): number;
  /** No printer of its own. */
  unprinted?: boolean;
}

type Fact = { name: string; type: string; priority: number; format?: string };
const FACTS: Record<string, Fact[]> = columns;

const descriptionOf = (kind: string, column: string): string => {
  if (column === 'Name') return 'Name of the object, unique within its namespace.';
  // Upstream has no text here, as the field stands elsewhere in its internal type.
  if (kind === 'RuntimeClass.node.k8s.io' && column === 'Handler') return '';
  return `${column} of the object.`;
};

const definition = (fact: Fact, kind = ''): Column => ({
  name: fact.name,
  type: fact.type,
  format: fact.format ?? '',
  description: descriptionOf(kind, fact.name),
  priority: fact.priority,
});

const fallback = (FACTS['*'] ?? []).map((fact) => definition(fact));
const shapes = new Map<string, TableShape>();

/** The table of a built-in kind; Name and Created At for kinds that have no printer of their own. */
export const tableShapeOf = (group: string, kind: string): TableShape => {
  const name = group ? `${kind}.${group}` : kind;
  const known = shapes.get(name);
  if (known) return known;
  const printer = builtinPrinters[name] ?? (name === 'Event.events.k8s.io' ? builtinPrinters.Event : undefined);
  const facts = FACTS[name] ?? (kind === 'Event' ? FACTS.Event : undefined);
  const shape: TableShape =
    printer && facts
      ? {
          columns: facts.map((fact) => definition(fact, name)),
          cells: printer.cells,
          ...(printer.conditions && { conditions: printer.conditions }),
          ...(printer.order && { order: printer.order }),
        }
      : {
          columns: fallback,
          unprinted: true,
          cells: (o) => [o.metadata.name ?? '', o.metadata.creationTimestamp ?? ''],
        };
  shapes.set(name, shape);
  return shape;
};

export interface TableRow {
  cells: Cell[];
  conditions?: RowCondition[];
  /** The object as includeObject asks: the whole, its metadata (default), or null. */
  object: unknown;
}
export interface Table {
  kind: 'Table';
  apiVersion: 'meta.k8s.io/v1';
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  columnDefinitions: readonly Column[] | null;
  /** null for no objects of a kind without a printer, as upstream's generic table has it. */
  rows: TableRow[] | null;
}

/** Only the metadata of an object: what a row carries by default, and PartialObjectMetadata answers. */
export const partialMetadata = (object: KubeObject) => ({
  kind: 'PartialObjectMetadata' as const,
  apiVersion: 'meta.k8s.io/v1' as const,
  metadata: object.metadata,
});

/**
 * A meta.k8s.io/v1 Table of decoded objects. `include` is the includeObject parameter. Source: API concepts, "Receiving
 * resources as Tables".
 */
export const tableOf = (
  shape: TableShape,
  objects: readonly KubeObject[],
  options: { now: number; include: 'None' | 'Metadata' | 'Object'; metadata: Table['metadata']; withColumns: boolean },
): Table => ({
  kind: 'Table',
  apiVersion: 'meta.k8s.io/v1',
  metadata: options.metadata,
  columnDefinitions: options.withColumns ? shape.columns : null,
  rows:
    shape.unprinted && !objects.length
      ? null
      : (shape.order ? objects.toSorted(shape.order) : objects).map((object) => {
          const conditions = shape.conditions?.(object);
          return {
            cells: shape.cells(object, options.now),
            ...(conditions && { conditions }),
            object: options.include === 'None' ? null : options.include === 'Object' ? object : partialMetadata(object),
          };
        }),
});
