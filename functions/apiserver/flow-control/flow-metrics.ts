import type { ClusterFlow } from './cluster-flow.ts';
import { type Level, type Schema, WAIT_SECONDS } from './level.ts';

const quoted = (value: string): string => value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
const NAME = 'apiserver_flowcontrol_';
const head = (name: string, type: string, help: string): string =>
  `# HELP ${NAME}${name} ${help}\n# TYPE ${NAME}${name} ${type}\n`;

const perLevel = (levels: readonly Level[], name: string, help: string, of: (level: Level) => number): string => {
  let out = head(name, 'gauge', help);
  for (const level of levels) out += `${NAME}${name}{priority_level="${quoted(level.name)}"} ${of(level)}\n`;
  return out;
};

const labelsOf = ({ name, level }: Schema): string =>
  `flow_schema="${quoted(name)}",priority_level="${quoted(level.name)}"`;

const perSchema = (
  schemas: readonly Schema[],
  name: string,
  type: string,
  help: string,
  of: (schema: Schema) => number,
): string => {
  let out = head(name, type, help);
  for (const schema of schemas) out += `${NAME}${name}{${labelsOf(schema)}} ${of(schema)}\n`;
  return out;
};

const refusals = (schemas: readonly Schema[]): string => {
  let out = head('rejected_requests_total', 'counter', 'Requests refused, by why.');
  for (const schema of schemas)
    for (const [reason, count] of schema.counts.refused)
      out += `${NAME}rejected_requests_total{${labelsOf(schema)},reason="${reason}"} ${count}\n`;
  return out;
};

const waits = (schemas: readonly Schema[]): string => {
  const name = 'request_wait_duration_seconds';
  let out = head(name, 'histogram', 'Seconds that requests waited in queues, of those that had to.');
  for (const schema of schemas) {
    const { counts, seconds } = schema.counts.waits;
    if (counts.length === 0) continue;
    const labels = labelsOf(schema);
    let sum = 0;
    for (let i = 0; i <= WAIT_SECONDS.length; i++) {
      sum += counts[i] ?? 0;
      out += `${NAME}${name}_bucket{${labels},le="${WAIT_SECONDS[i] ?? '+Inf'}"} ${sum}\n`;
    }
    out += `${NAME}${name}_sum{${labels}} ${seconds}\n${NAME}${name}_count{${labels}} ${sum}\n`;
  }
  return out;
};

/**
 * A cluster's flow control in Prometheus' text format under upstream's names: a few numbers per level, and those of
 * schemas that have had requests.
 */
export const flowMetrics = (flow: ClusterFlow): string => {
  const levels = [...flow.levels.values()];
  const schemas = flow.schemas.filter(({ counts }) => counts.dispatched > 0 || counts.refused.size > 0);
  const seen = (level: Level) => flow.observed.get(level.name);
  return (
    perLevel(levels, 'nominal_limit_seats', 'Seats of each level before lending.', (level) => level.nominal) +
    perLevel(levels, 'lower_limit_seats', 'Seats that each level never lends.', (level) => level.lower) +
    perLevel(levels, 'upper_limit_seats', 'Seats of each level with all it may borrow.', (level) => level.upper) +
    perLevel(levels, 'current_limit_seats', 'Seats of each level now.', (level) => level.limit) +
    perLevel(levels, 'demand_seats_high_watermark', 'Most seats that a level could use in the last period.', (level) =>
      Math.max(0, seen(level)?.high ?? 0),
    ) +
    perLevel(levels, 'demand_seats_average', 'Seats that a level could use, on average of the last period.', (level) =>
      Math.max(0, seen(level)?.average ?? 0),
    ) +
    perLevel(levels, 'demand_seats_smoothed', 'Seats that a level is taken to need.', (l) => seen(l)?.smoothed ?? 0) +
    perSchema(schemas, 'dispatched_requests_total', 'counter', 'Requests begun.', ({ counts }) => counts.dispatched) +
    perSchema(schemas, 'current_executing_requests', 'gauge', 'Requests under way.', ({ counts }) => counts.executing) +
    perSchema(schemas, 'current_executing_seats', 'gauge', 'Seats taken.', ({ counts }) => counts.executingSeats) +
    perSchema(schemas, 'current_inqueue_requests', 'gauge', 'Requests that wait.', ({ counts }) => counts.waiting) +
    perSchema(schemas, 'current_inqueue_seats', 'gauge', 'Seats waited for.', ({ counts }) => counts.waitingSeats) +
    refusals(schemas) +
    waits(schemas)
  );
};
