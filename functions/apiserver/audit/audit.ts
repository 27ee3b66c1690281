import type { Backend } from './backend.ts';
import type { AuditPolicy } from './policy.ts';
import type { AuditSinkConfig } from './sink-document.ts';
import { openSinks, type SinkOptions } from './sinks.ts';
import { type Audited, type AuditSink, type AuditTrail, createTrail, type TrailContext } from './trail.ts';

/** Counts of what was audited, over all policies and sinks of a process. */
export interface AuditCounts {
  events: number;
  rejected: number;
  levels: Map<string, number>;
  /** Events lost, by plugin. */
  errors: Map<string, number>;
}

export const createCounts = (): AuditCounts => ({ events: 0, rejected: 0, levels: new Map(), errors: new Map() });

const add = (counts: Map<string, number>, key: string, by = 1): void =>
  void counts.set(key, (counts.get(key) ?? 0) + by);

/** Upstream's audit metrics in Prometheus' text format. */
export const renderCounts = ({ events, rejected, levels, errors }: AuditCounts): string => {
  const head = (name: string, help: string): string => `# HELP ${name} ${help}\n# TYPE ${name} counter\n`;
  let out = `${head('apiserver_audit_event_total', 'Audit events made.')}apiserver_audit_event_total ${events}\n`;
  out += head('apiserver_audit_error_total', 'Audit events that were not kept, by the plugin that lost them.');
  for (const [plugin, count] of errors) out += `apiserver_audit_error_total{plugin="${plugin}"} ${count}\n`;
  out += head('apiserver_audit_level_total', 'Requests by the audit level that the policy gave them.');
  for (const [level, count] of levels) out += `apiserver_audit_level_total{level="${level}"} ${count}\n`;
  out += head('apiserver_audit_requests_rejected_total', 'Requests refused as their event could not be kept.');
  return `${out}apiserver_audit_requests_rejected_total ${rejected}\n`;
};

/** A policy and where its events go. */
export interface Audit {
  trail(audited: Audited): AuditTrail;
}

export type AuditOptions = Omit<SinkOptions, 'onLost'> & { counts: AuditCounts };

const SAID_EVERY_MS = 10_000;

/** Opens a document's sinks; what they lose is counted, and told at most every ten seconds. */
export const openCounted = async (config: AuditSinkConfig, options: AuditOptions): Promise<Backend> => {
  const { counts, clock, log } = options;
  let saidAt = Number.NEGATIVE_INFINITY;
  return openSinks(config, {
    ...options,
    onLost: (plugin, error, events) => {
      add(counts.errors, plugin, events);
      const now = clock.now();
      if (now - saidAt < SAID_EVERY_MS) return;
      saidAt = now;
      log(`audit plugin ${plugin} lost ${events} events: ${error.message}`);
    },
  });
};

/** Audits by a policy into a sink. */
export const createAudit = (policy: AuditPolicy, sink: AuditSink, { clock, counts }: AuditOptions): Audit => {
  const context: TrailContext = {
    policy,
    sink,
    clock,
    counted: {
      event: () => {
        counts.events++;
      },
      level: (level) => add(counts.levels, level),
      rejected: () => {
        counts.rejected++;
      },
    },
  };
  return { trail: (audited) => createTrail(context, audited) };
};
