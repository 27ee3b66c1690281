import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { followConfiguration } from './configuration-files.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skiff-configuration-'));
  path = join(folder, 'configuration.yaml');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('refuses kinds that nobody reads, second documents of a kind, and files that are not there', async () => {
  const follow = () => followConfiguration({ paths: [path], log: () => undefined });
  await expect(follow()).rejects.toThrow('ENOENT');
  writeFileSync(path, 'apiVersion: v1\nkind: Pod\n');
  await expect(follow()).rejects.toThrow(`${path}: no kind "Pod" of "v1" is read here`);
  writeFileSync(path, 'kind: [');
  await expect(follow()).rejects.toThrow(path);
});

it('tells of a text that does not stand once, and keeps what was there', async () => {
  writeFileSync(path, '---\n# nothing\n');
  const told: string[] = [];
  const files = await followConfiguration({ paths: [path], everyMs: 10, log: (line) => told.push(line) });
  const before = files.current();
  writeFileSync(`${path}.new`, 'kind: Pod\n');
  renameSync(`${path}.new`, path);
  await vi.waitFor(() => expect(told).toEqual([expect.stringMatching(/^the configuration stays as it was: .*"Pod"/)]));
  expect(files.current()).toBe(before);
  writeFileSync(path, '---\n# nothing again\n');
  await vi.waitFor(() => expect(told[1]).toBe('the configuration has changed and is in force'));
  expect(told).toHaveLength(2);
  files.close();
});

it('keeps what was there when the file is emptied, and starts with no empty file', async () => {
  writeFileSync(path, 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n');
  const told: string[] = [];
  const files = await followConfiguration({ paths: [path], everyMs: 10, log: (line) => told.push(line) });
  const before = files.current();
  writeFileSync(path, '\n');
  await vi.waitFor(() => expect(told).toEqual([`the configuration stays as it was: ${path}: the file is empty`]));
  expect(files.current()).toBe(before);
  files.close();
  await expect(followConfiguration({ paths: [path], log: () => undefined })).rejects.toThrow('the file is empty');
});

it('takes no file that is still being written', async () => {
  const anonymous = (enabled: boolean) =>
    `apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\nanonymous: {enabled: ${enabled}}\n`;
  writeFileSync(path, anonymous(false));
  const seen = new Set<unknown>();
  const told: string[] = [];
  const files = await followConfiguration({ paths: [path], everyMs: 20, log: (line) => told.push(line) });
  const watching = setInterval(() => seen.add(files.current().authentication?.anonymous?.enabled), 1);
  for (let i = 0; i < 20; i++) {
    writeFileSync(path, '');
    await new Promise((resolve) => setTimeout(resolve, 5));
    writeFileSync(path, anonymous(true));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await vi.waitFor(() => expect(files.current().authentication?.anonymous?.enabled).toBe(true));
  clearInterval(watching);
  files.close();
  expect([...seen]).toEqual([false, true]);
});

it('shows no line of a text that does not stand: it may hold keys', async () => {
  writeFileSync(path, 'kind: EncryptionConfiguration\nkeys: [{name: a b: c, secret: c2VjcmV0}]\n');
  const failure = followConfiguration({ paths: [path], log: () => undefined });
  await expect(failure).rejects.toThrow(/at line 2, column \d+$/);
  await expect(failure).rejects.not.toThrow('c2VjcmV0');
});
