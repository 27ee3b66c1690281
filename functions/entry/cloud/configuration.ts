import { checkForFunctions } from '../../apiserver/audit/follow.ts';
import type { Configuration, ConfigurationText, Configured } from '../../apiserver/configuration.ts';
import { FLEET } from '../../apiserver/fleet/cluster-kind.ts';
import type { Store } from '../../store/store.ts';

/**
 * What an operator has set a deployment up with: the texts as they were given, kept in its table beside the keys, where the
 * functions find them. Reading costs one item every `EVERY_MS`, which no request of a busy process waits for.
 */
const domain = { cluster: 'system', group: 'skiff.dev', resource: 'configuration' };
const key = 'control-plane';
/** A text takes effect in a process that is busy within this time and the request after it. */
const EVERY_MS = 30_000;
/** What was read so long ago is read again before a request goes on: its process has had nothing to do. */
const STALE_MS = 60_000;
const OPERATORS: ReadonlySet<string> = new Set(['default', FLEET]);

const nothing: Configuration = {};
const decoder = new TextDecoder();
const encoder = new TextEncoder();

const parse = async (texts: readonly ConfigurationText[]): Promise<Configuration> => {
  if (texts.length === 0) return nothing;
  // What reads documents is loaded where there are any.
  const { parseConfiguration } = await import('../../apiserver/configuration.ts');
  return parseConfiguration(texts);
};

/**
 * Rejects with ConfigurationError for texts that do not stand, and for keys in them: they would lie in the table beside what
 * they lock.
 */
export const checkConfiguration = async (texts: readonly ConfigurationText[]): Promise<void> => {
  const { encryption, authorization, auditSink } = await parse(texts);
  const { ConfigurationError } = await import('../../apiserver/configuration.ts');
  const providers = encryption?.resources.flatMap((rule) => rule.providers) ?? [];
  const local = providers.some(({ aesgcm, aescbc, secretbox }) => aesgcm ?? aescbc ?? secretbox);
  if (local)
    throw new ConfigurationError(
      'EncryptionConfiguration: a deployment takes kms and identity only, no keys of its own',
    );
  const named = authorization?.authorizers.find(
    (one) => one.type === 'Webhook' && !one.webhook.kubeConfigFile.startsWith('data:'),
  );
  if (named)
    throw new ConfigurationError(
      `AuthorizationConfiguration: functions have no files: give ${named.name} its kubeConfigFile as data:;base64,... of its text`,
    );
  try {
    if (auditSink) checkForFunctions(auditSink);
  } catch (error) {
    throw new ConfigurationError(`AuditSink: ${error instanceof Error ? error.message : error}`);
  }
};

/**
 * Puts texts into a deployment's table in place of those that are there; none takes them away. Rejects with
 * ConfigurationError for texts that do not stand, before anything is written.
 */
export const storeConfiguration = async (store: Store, texts: readonly ConfigurationText[]): Promise<void> => {
  await checkConfiguration(texts);
  const bytes = () => encoder.encode(JSON.stringify(texts));
  const index = { labels: {}, fields: {}, owners: [] };
  for (;;) {
    const known = await store.get(domain, key);
    const [outcome] = await store.commit(domain, [
      known ? { op: 'update', key, expected: known.revision, index, bytes } : { op: 'create', key, index, bytes },
    ]);
    if (outcome?.ok) return;
    // Who stored something else meanwhile came before.
    const raced = outcome && ['exists', 'changed', 'missing'].includes(outcome.reason);
    if (!raced) throw new Error(`the configuration could not be stored: ${outcome?.reason}`);
  }
};

export interface StoredConfigurationOptions {
  store: Pick<Store, 'get'>;
  clock: { now(): number };
  log(line: string): void;
}

export interface StoredConfiguration {
  current(): Configuration;
  /** Undefined where it was read within a minute; else resolves once it was read again, or could not be. */
  fresh(): Promise<void> | undefined;
  /** The same for the operator's clusters; tenants have theirs in their Cluster objects. */
  configured: Configured;
}

/**
 * Reads what is stored and follows it: whoever asks gets what was read last, and has it read again where that is some time
 * ago. A text that does not stand is told once and changes nothing. Rejects where the first reading fails.
 */
export const followStoredConfiguration = async (options: StoredConfigurationOptions): Promise<StoredConfiguration> => {
  const { store, clock, log } = options;
  let text: string | undefined;
  let current = nothing;
  let readAt = clock.now();
  /** When the last reading was over: whoever asks while one goes on has nothing newer. */
  let knownAt = readAt;
  let reading: Promise<void> | undefined;
  const read = async (): Promise<void> => {
    const stored = await store.get(domain, key);
    const found = stored ? decoder.decode(stored.bytes) : undefined;
    if (found === text) return;
    text = found;
    current = await parse(found === undefined ? [] : (JSON.parse(found) as ConfigurationText[]));
  };
  await read();
  const again = (): Promise<void> => {
    readAt = clock.now();
    reading ??= read()
      .catch((error: Error) => log(`the configuration stays as it was: ${error.message}`))
      .finally(() => {
        reading = undefined;
        knownAt = clock.now();
      });
    return reading;
  };
  const latest = (): Configuration => {
    if (!reading && clock.now() - readAt >= EVERY_MS) void again();
    return current;
  };
  const fresh = () => (clock.now() - knownAt >= STALE_MS ? again() : undefined);
  return { current: latest, fresh, configured: (cluster) => (OPERATORS.has(cluster) ? latest() : nothing) };
};
