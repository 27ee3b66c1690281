import type { KubeObject } from '../../machinery/object.ts';
import type { Cell, RowCondition } from './table.ts';

/** The cells of one kind, in the order of facts/columns.json. */
export interface Printer {
  cells(object: KubeObject, now: number): Cell[];
  conditions?(object: KubeObject): RowCondition[] | undefined;
  /** Rows of one answer come in this order; as they are stored (by name) where absent. */
  order?(a: KubeObject, b: KubeObject): number;
}

/** Types the object once, at the edge of each printer. */
export const printer = <T extends KubeObject>(cells: (object: T, now: number) => Cell[]): Printer => ({
  cells: (object, now) => cells(object as T, now),
});
