import type { Clock } from '../../clock/clock.ts';
import type { Configuration } from '../configuration.ts';
import type { Audit, AuditCounts } from './audit.ts';
import type { Backend } from './backend.ts';
import type { AuditPolicy } from './policy.ts';
import type { AuditSinkConfig } from './sink-document.ts';
import type { AuditSink } from './trail.ts';

export interface FollowAuditOptions {
  /** The configuration as it is now: another object once it has changed. */
  configuration(): Configuration;
  clock: Clock;
  /** Relative paths of logs and kubeconfigs are of this folder. */
  directory: string;
  /** Where events go that no AuditSink says a place for: a path, or `-`. */
  defaultPath: string;
  /**
   * For functions, which are frozen once they have answered and keep no files: each event is written before its request
   * goes on, and only standard output and blocking webhooks take events.
   */
  immediate?: boolean;
  log(line: string): void;
}

/** The audit of a process, as its configuration has it at any moment. */
export interface FollowedAudit {
  /** Undefined where there is no policy. */
  current(): Audit | undefined;
  /** Resolves once the configuration as it is now is in force, or is known not to stand. */
  settled(): Promise<void>;
  metrics(): string;
  /** Resolves when what was told so far is written, sent or given up. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

interface Standing {
  audit: Audit;
  sink: Backend;
  /** What the sink was opened by. */
  text: string;
}

/** Throws for what a function cannot do: it has no files, and is frozen between requests. */
export const checkForFunctions = ({ log, webhook }: AuditSinkConfig): void => {
  if (webhook && !webhook.kubeconfig.startsWith('data:'))
    throw new Error('functions have no files: webhook.kubeconfig is data:;base64,... of its text');
  if (webhook?.mode === 'batch')
    throw new Error('functions keep no batches: webhook.mode is blocking or blocking-strict');
  if (log && (log.path !== '-' || log.mode === 'batch'))
    throw new Error(
      'functions write audit logs to standard output: log.path is -, log.mode blocking or blocking-strict',
    );
};

/**
 * Audits as soon as there is a policy, and by the newest one that stands. A sink stays open over changes that do not
 * concern it. What audits is loaded where it is needed. Rejects where the first configuration's sink cannot be opened.
 */
export const followAudit = async (options: FollowAuditOptions): Promise<FollowedAudit> => {
  const { clock, directory, immediate = false, log } = options;
  let counts: AuditCounts | undefined;
  let render: ((counts: AuditCounts) => string) | undefined;
  let standing: Standing | undefined;
  let seen: Configuration | undefined;
  let changing: Promise<void> = Promise.resolve();

  /** Requests that are under way tell of their end to the sink that stands by then. */
  const through: AuditSink = { process: (event) => standing?.sink.process(event) ?? true };
  const change = async (policy: AuditPolicy | undefined, given: AuditSinkConfig | undefined): Promise<void> => {
    const before = standing;
    if (!policy) {
      standing = undefined;
      await before?.sink.close();
      return;
    }
    const [{ createAudit, createCounts, openCounted, renderCounts }, { defaultSink }] = await Promise.all([
      import('./audit.ts'),
      import('./sink-document.ts'),
    ]);
    counts ??= createCounts();
    render = renderCounts;
    const config = given ?? defaultSink(options.defaultPath);
    if (immediate) checkForFunctions(config);
    const text = JSON.stringify(config);
    const opened = { clock, directory, immediate, log, counts };
    const sink = before?.text === text ? before.sink : await openCounted(config, opened);
    standing = { audit: createAudit(policy, through, opened), sink, text };
    if (before && before.sink !== sink) await before.sink.close();
  };

  /** Takes up what has changed; until it stands, all goes on as before. */
  const look = (): Promise<void> => {
    const { auditPolicy, auditSink } = options.configuration();
    seen = options.configuration();
    changing = changing.catch(() => undefined).then(() => change(auditPolicy, auditSink));
    return changing;
  };
  await look().catch(async (error: Error) => {
    const { ConfigurationError } = await import('../configuration.ts');
    throw new ConfigurationError(`AuditSink: ${error.message}`);
  });
  const current = (): Audit | undefined => {
    if (options.configuration() !== seen)
      look().catch((error: Error) => log(`auditing goes on as before: ${error.message}`));
    return standing?.audit;
  };
  return {
    current,
    settled: async () => {
      current();
      await changing.catch(() => undefined);
    },
    metrics: () => (counts && render ? render(counts) : ''),
    flush: async () => standing?.sink.flush(),
    close: async () => {
      await changing.catch(() => undefined);
      const last = standing;
      standing = undefined;
      await last?.sink.close();
    },
  };
};
