import type { Cause } from '../../../machinery/status.ts';
import type { Structural } from './structural.ts';

export interface CostTally {
  total: number;
}
export const createRuleContexts = (_schema: Structural, _path: string, _unchanged: boolean) => ({
  tally: { total: 0 } as CostTally,
  check: (_s: Structural, _at: string): Cause[] => [],
});
export const totalCostCauses = (_tally: CostTally, _path: string): Cause[] => [];
