import type { Json } from '../../../machinery/object.ts';
import { loadRegex } from '../../../machinery/regex.ts';
import type { Cause } from '../../../machinery/status.ts';
import type { Structural } from './structural.ts';

export const CRD_RULES_BUDGET = 10_000_000;
export interface Rules {
  schema: Structural;
}
export const rulesOf = (_schema: Structural, _root: boolean): Rules | undefined => undefined;
export const ruleCauses = (
  _rules: Rules,
  _value: Json,
  at: { old?: Json; path: string; budget: number },
): { causes: Cause[]; budget: number } => ({ causes: [], budget: at.budget });
export const loadRules = (): Promise<void> => loadRegex();
