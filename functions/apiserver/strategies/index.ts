import type { Strategy } from '../registry.ts';
import { dynamicDefaults } from './defaults.ts';

const strategies = new Map<string, Strategy>();

/** The strategy of a built-in kind: its own, or one that only has the kind's dynamic defaults. Always the same object. */
export const strategyFor = (group: string, kind: string): Strategy => {
  const key = `${group}/${kind}`;
  const known = strategies.get(key);
  if (known) return known;
  const defaults = dynamicDefaults[key];
  const strategy: Strategy = defaults ? { defaults } : {};
  strategies.set(key, strategy);
  return strategy;
};
