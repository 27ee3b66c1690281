import { readFile, stat } from 'node:fs/promises';
import type { Configuration } from '../apiserver/configuration.ts';

export interface ConfigurationFilesOptions {
  paths: readonly string[];
  /** How often the files are looked at, in milliseconds; 1,000 where absent. */
  everyMs?: number;
  log(line: string): void;
}

/** The configuration that stands in files, as they are now. */
export interface ConfigurationFiles {
  current(): Configuration;
  close(): void;
}

const EVERY_MS = 1000;

/** What reads documents is loaded where there are any. */
const readAll = async (paths: readonly string[]): Promise<Configuration> => {
  const { ConfigurationError, parseConfiguration } = await import('../apiserver/configuration.ts');
  const read = async (path: string) => {
    const text = await readFile(path, 'utf8').catch((error: Error) => {
      throw new ConfigurationError(error.message);
    });
    // Whoever truncated it by mistake did not mean to turn off what it held; whoever means to leaves a comment.
    if (text.trim() === '') throw new ConfigurationError(`${path}: the file is empty`);
    return { name: path, text };
  };
  return parseConfiguration(await Promise.all(paths.map(read)));
};

/** Changes with every edit, and with every file put in the place of another (as mounted ConfigMaps are). */
const stampOf = async (paths: readonly string[]): Promise<string> => {
  const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true }).catch(() => undefined)));
  return stats.map((found) => (found ? `${found.ino}.${found.mtimeNs}.${found.size}` : '-')).join();
};

/**
 * Reads the files and follows them: a text that stands is in force within about two seconds, one that does not is told once
 * and changes nothing. Rejects with ConfigurationError where the first reading fails.
 */
export const followConfiguration = async (options: ConfigurationFilesOptions): Promise<ConfigurationFiles> => {
  const { paths, everyMs = EVERY_MS, log } = options;
  if (!paths.length) return { current: () => nothing, close: () => undefined };
  let stamp = await stampOf(paths);
  let current = await readAll(paths);
  let looking = false;
  let seen = stamp;
  const look = async (): Promise<void> => {
    const found = await stampOf(paths);
    if (found === stamp) return;
    // Editors empty a file before they fill it: what is still being written is left for the next look.
    const rests = found === seen;
    seen = found;
    if (!rests) return;
    const read = readAll(paths);
    const after = await read.catch(() => undefined).then(() => stampOf(paths));
    if (after !== found) return;
    stamp = found;
    current = await read;
    log('the configuration has changed and is in force');
  };
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    look()
      .catch((error: Error) => log(`the configuration stays as it was: ${error.message}`))
      .finally(() => {
        looking = false;
      });
  }, everyMs);
  timer.unref();
  return { current: () => current, close: () => clearInterval(timer) };
};

const nothing: Configuration = {};
