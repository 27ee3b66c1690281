import type { HorizontalPodAutoscaler, HPAScalingRules } from '../../machinery/kinds.d.ts';

/**
 * How a recommendation becomes a number of replicas: stabilized over time, and no faster than the autoscaler's behaviour
 * allows. Sources: KEP-853 (configurable scale velocity) and the reference page of HorizontalPodAutoscaler.
 */
export interface History {
  recommendations: readonly { at: number; replicas: number }[];
  /** Positive when replicas were added. */
  changes: readonly { at: number; by: number }[];
}

export interface Normalized {
  replicas: number;
  able: { reason: string; message: string };
  limited: { status: 'True' | 'False'; reason: string; message: string };
}

export interface Wanted {
  now: number;
  current: number;
  desired: number;
  min: number;
  max: number;
}

const DOWN_WINDOW_MS = 300_000;
const READY = { reason: 'ReadyForNewScale', message: 'recommended size matches current size' };
const STABLE_UP = {
  reason: 'ScaleUpStabilized',
  message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
};
const STABLE_DOWN = {
  reason: 'ScaleDownStabilized',
  message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
};
const LIMITS: Record<string, string> = {
  ScaleUpLimit: 'the desired replica count is increasing faster than the maximum scale rate',
  ScaleDownLimit: 'the desired replica count is decreasing faster than the maximum scale rate',
  TooManyReplicas: 'the desired replica count is more than the maximum replica count',
  TooFewReplicas: 'the desired replica count is less than the minimum replica count',
};
const limited = (reason: string): Normalized['limited'] => ({ status: 'True', reason, message: LIMITS[reason] ?? '' });
const FREE: Normalized['limited'] = {
  status: 'False',
  reason: 'DesiredWithinRange',
  message: 'the desired count is within the acceptable range',
};

const windowMs = (rules: HPAScalingRules | undefined, fallbackMs: number): number =>
  rules?.stabilizationWindowSeconds === undefined ? fallbackMs : rules.stabilizationWindowSeconds * 1000;

/** The replicas that the policies of one direction allow at most (up) or at least (down). */
const rateLimit = (rules: HPAScalingRules, history: History, { now, current }: Wanted, up: boolean): number => {
  const select = rules.selectPolicy ?? 'Max';
  if (select === 'Disabled') return current;
  const proposals = (rules.policies ?? []).map(({ type, value, periodSeconds }) => {
    const since = now - periodSeconds * 1000;
    const changed = history.changes.filter((change) => change.at > since).reduce((sum, { by }) => sum + by, 0);
    const start = current - changed;
    if (type === 'Pods') return up ? start + value : start - value;
    // A share is rounded so that something changes at all.
    return up ? Math.ceil(start * (1 + value / 100)) : Math.trunc(start * (1 - value / 100));
  });
  // The largest change goes furthest from here.
  return (select === 'Max') === up ? Math.max(...proposals) : Math.min(...proposals);
};

const bounded = (
  wanted: Wanted,
  desired: number,
  up: number,
  down: number,
): { replicas: number; limited: Normalized['limited'] } => {
  const { current, min, max } = wanted;
  const most = Math.min(max, up);
  const least = Math.max(min, down);
  if (desired > current && desired > most)
    return { replicas: most, limited: limited(max > up ? 'ScaleUpLimit' : 'TooManyReplicas') };
  if (desired < current && desired < least)
    return { replicas: least, limited: limited(min < down ? 'ScaleDownLimit' : 'TooFewReplicas') };
  if (desired < min) return { replicas: min, limited: limited('TooFewReplicas') };
  if (desired > max) return { replicas: max, limited: limited('TooManyReplicas') };
  return { replicas: desired, limited: FREE };
};

/** Bounds, rates and stabilization of one recommendation; the rules are those of `spec.behavior`, or the plain ones. */
export const normalize = (
  behavior: NonNullable<HorizontalPodAutoscaler['spec']>['behavior'],
  history: History,
  wanted: Wanted,
): Normalized => {
  const { now, current, desired } = wanted;
  const recent = (ms: number) => history.recommendations.filter((r) => r.at > now - ms).map((r) => r.replicas);
  const lowest = Math.min(desired, ...recent(windowMs(behavior?.scaleUp, 0)));
  const highest = Math.max(desired, ...recent(windowMs(behavior?.scaleDown, DOWN_WINDOW_MS)));
  const stable = behavior ? Math.min(Math.max(current, lowest), highest) : highest;
  const able = stable === desired ? READY : behavior && desired >= current ? STABLE_UP : STABLE_DOWN;
  if (!behavior) {
    const up = Math.max(2 * current, 4);
    return { able, ...bounded(wanted, stable, up, 0) };
  }
  const up = behavior.scaleUp ? Math.max(current, rateLimit(behavior.scaleUp, history, wanted, true)) : wanted.max;
  const down = behavior.scaleDown ? Math.min(current, rateLimit(behavior.scaleDown, history, wanted, false)) : 0;
  return { able, ...bounded(wanted, stable, up, down) };
};

const KEPT_MS = 3_600_000;

/** The history with one more recommendation and, where the target was scaled, the change. */
export const remember = (history: History, now: number, replicas: number | undefined, by: number): History => {
  const kept = <T extends { at: number }>(list: readonly T[]): T[] => list.filter((one) => one.at > now - KEPT_MS);
  return {
    recommendations: [...kept(history.recommendations), ...(replicas === undefined ? [] : [{ at: now, replicas }])],
    changes: [...kept(history.changes), ...(by === 0 ? [] : [{ at: now, by }])],
  };
};
