import type { CallResult } from './webhook/call.ts';
import type { Verdict } from './webhook/match-conditions.ts';

/** Counts what authorizers decide and how webhooks answer, under upstream's names. */
export interface AuthorizationMetrics {
  decided(type: string, name: string, decision: 'allowed' | 'denied'): void;
  called(name: string, result: CallResult, ms: number): void;
  failedOpen(name: string, result: CallResult): void;
  matched(name: string, verdict: Verdict, ms: number): void;
  /** The Prometheus text; '' where nothing was counted. */
  render(): string;
}

interface Histogram {
  /** Per bucket, not yet summed up; the last is above every bound. */
  counts: number[];
  seconds: number;
}

const CALL_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const MATCH_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25];

const observe = (into: Map<string, Histogram>, labels: string, bounds: readonly number[], ms: number): void => {
  let histogram = into.get(labels);
  if (!histogram) {
    histogram = { counts: new Array(bounds.length + 1).fill(0), seconds: 0 };
    into.set(labels, histogram);
  }
  const seconds = ms / 1000;
  const found = bounds.findIndex((bound) => seconds <= bound);
  const bucket = found < 0 ? bounds.length : found;
  histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
  histogram.seconds += seconds;
};

const count = (into: Map<string, number>, labels: string): void => void into.set(labels, (into.get(labels) ?? 0) + 1);

const PREFIX = 'apiserver_authorization_';

const counterText = (name: string, help: string, series: ReadonlyMap<string, number>): string[] =>
  series.size === 0
    ? []
    : [
        `# HELP ${PREFIX}${name} ${help}`,
        `# TYPE ${PREFIX}${name} counter`,
        ...[...series].map(([labels, value]) => `${PREFIX}${name}{${labels}} ${value}`),
      ];

const histogramText = (
  name: string,
  help: string,
  bounds: readonly number[],
  series: ReadonlyMap<string, Histogram>,
): string[] => {
  if (series.size === 0) return [];
  const lines = [`# HELP ${PREFIX}${name} ${help}`, `# TYPE ${PREFIX}${name} histogram`];
  for (const [labels, { counts, seconds }] of series) {
    let sum = 0;
    counts.forEach((value, i) => {
      sum += value;
      lines.push(`${PREFIX}${name}_bucket{${labels},le="${bounds[i] ?? '+Inf'}"} ${sum}`);
    });
    lines.push(`${PREFIX}${name}_sum{${labels}} ${seconds}`, `${PREFIX}${name}_count{${labels}} ${sum}`);
  }
  return lines;
};

export const createAuthorizationMetrics = (): AuthorizationMetrics => {
  const decisions = new Map<string, number>();
  const calls = new Map<string, number>();
  const seconds = new Map<string, Histogram>();
  const open = new Map<string, number>();
  const faults = new Map<string, number>();
  const exclusions = new Map<string, number>();
  const matching = new Map<string, Histogram>();
  return {
    decided: (type, name, decision) => count(decisions, `decision="${decision}",name="${name}",type="${type}"`),
    called: (name, result, ms) => {
      const labels = `name="${name}",result="${result}"`;
      count(calls, labels);
      observe(seconds, labels, CALL_BUCKETS, ms);
    },
    failedOpen: (name, result) => count(open, `name="${name}",result="${result}"`),
    matched: (name, verdict, ms) => {
      const labels = `name="${name}",type="Webhook"`;
      observe(matching, labels, MATCH_BUCKETS, ms);
      if (verdict === 'skip') count(exclusions, labels);
      else if (verdict !== 'call') count(faults, labels);
    },
    render: () => {
      const lines = [
        ...counterText('decisions_total', 'Decisions that ended a question, by authorizer.', decisions),
        ...counterText('webhook_evaluations_total', 'Calls of authorization webhooks.', calls),
        ...histogramText('webhook_duration_seconds', 'Time of calls of webhooks.', CALL_BUCKETS, seconds),
        ...counterText('webhook_evaluations_fail_open_total', 'Failed calls that decided nothing.', open),
        ...counterText('match_condition_evaluation_errors_total', 'Match conditions that failed.', faults),
        ...counterText('match_condition_exclusions_total', 'Webhooks that match conditions left out.', exclusions),
        ...histogramText('match_condition_evaluation_seconds', 'Time of match conditions.', MATCH_BUCKETS, matching),
      ];
      return lines.length > 0 ? `${lines.join('\n')}\n` : '';
    },
  };
};
