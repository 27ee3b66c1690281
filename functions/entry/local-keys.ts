import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A key that encrypts values at rest: AES-256, base64. */
export interface LocalKey {
  name: string;
  secret: string;
  /** RFC 3339. */
  createdAt: string;
}

const pathOf = (directory: string): string => join(directory, 'encryption-keys.json');

export const hasLocalKeys = (directory: string): boolean => existsSync(pathOf(directory));

export const newLocalKey = (now = Date.now()): LocalKey => ({
  name: `local-${new Date(now).toISOString().slice(0, 10)}-${randomBytes(4).toString('hex')}`,
  secret: randomBytes(32).toString('base64'),
  createdAt: new Date(now).toISOString(),
});

/** Newest first; the first one encrypts. Throws where there are none. */
export const readLocalKeys = (directory: string): LocalKey[] =>
  (JSON.parse(readFileSync(pathOf(directory), 'utf8')) as { keys: LocalKey[] }).keys;

/** On the disk before it returns, readable by the owner only: what it encrypts is lost without it. */
export const writeLocalKeys = (directory: string, keys: readonly LocalKey[]): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = pathOf(directory);
  const file = openSync(`${path}.tmp`, 'w', 0o600);
  try {
    writeSync(file, `${JSON.stringify({ keys }, undefined, 2)}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.tmp`, path);
  const folder = openSync(directory, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
};
