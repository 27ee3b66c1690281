import { corePrinters } from './core.ts';
import { podPrinter } from './pod.ts';
import { policyPrinters } from './policy.ts';
import type { Printer } from './printer.ts';
import { workloadPrinters } from './workloads.ts';

/** By `Kind.group`, `Kind` in the core group. */
export const builtinPrinters: Record<string, Printer> = {
  Pod: podPrinter,
  ...corePrinters,
  ...workloadPrinters,
  ...policyPrinters,
};
