import type { Strategy } from '../registry.ts';
import { configStrategies } from './config.ts';
import { dynamicDefaults } from './defaults.ts';
import { jobStrategies } from './jobs.ts';
import { networkingStrategies } from './networking.ts';
import { volumeStrategies } from './persistent-volumes.ts';
import { podStrategy } from './pod/strategy.ts';
import { quotaStrategies } from './quotas.ts';
import { serviceStrategy } from './service.ts';
import { workloadStrategies } from './workloads.ts';

const own: Readonly<Record<string, Strategy>> = {
  '/Pod': podStrategy,
  '/Service': serviceStrategy,
  ...workloadStrategies,
  ...jobStrategies,
  ...configStrategies,
  ...quotaStrategies,
  ...networkingStrategies,
  ...volumeStrategies,
};
const strategies = new Map<string, Strategy>();

/** The strategy of a built-in kind: its own, with the kind's dynamic defaults. Always the same object. */
export const strategyFor = (group: string, kind: string): Strategy => {
  const key = `${group}/${kind}`;
  const known = strategies.get(key);
  if (known) return known;
  const defaults = dynamicDefaults[key];
  const strategy: Strategy = { ...own[key], ...(defaults && { defaults }) };
  strategies.set(key, strategy);
  return strategy;
};
