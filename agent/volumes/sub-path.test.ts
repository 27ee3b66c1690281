import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { mountSubPath, mountsBelow, unmountBelow } from './sub-path.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'skiff-sub-path-')));
const root = join(folder, 'volume');
const outside = join(folder, 'outside');
mkdirSync(root, { mode: 0o777 });
mkdirSync(outside);
writeFileSync(join(outside, 'secret'), 'host');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const target = join(folder, 'own', 'c', '0');
/** The real path of what would be mounted. */
const bound = async (path: string): Promise<string> => {
  let found = '';
  await mountSubPath(root, path, target, async (source) => {
    found = realpathSync(source);
  });
  return found.slice(folder.length);
};

it.each([
  ['a/b', '/volume/a/b'],
  ['.', '/volume'],
  ['./a//b/', '/volume/a/b'],
])('finds or makes %s', async (path, real) => expect(await bound(path)).toBe(real));

it('makes what is absent with the permissions of the volume, whatever the umask', async () => {
  execFileSync('chmod', ['2777', root]);
  await bound('made/deep');
  expect(statSync(join(root, 'made')).mode & 0o7777).toBe(0o2777);
  expect(statSync(join(root, 'made/deep')).mode & 0o7777).toBe(0o2777);
});

it('follows links that stay inside, and mounts files', async () => {
  mkdirSync(join(root, '..data_1'));
  writeFileSync(join(root, '..data_1', 'key'), 'v');
  symlinkSync('..data_1', join(root, '..data'));
  symlinkSync('..data/key', join(root, 'key'));
  expect(await bound('key')).toBe('/volume/..data_1/key');
  expect(statSync(target).isFile()).toBe(true);
});

it.each([
  ['out', () => symlinkSync(outside, join(root, 'out')), 'leads out of the volume'],
  ['up/secret', () => symlinkSync('..', join(root, 'up')), 'leads out of the volume'],
  ['dangling', () => symlinkSync(join(outside, 'none'), join(root, 'dangling')), 'leads out of the volume'],
  ['a/../../x', () => {}, 'invalid subPath'],
  ['/etc', () => {}, 'invalid subPath'],
])('refuses %s', async (path, prepare, why) => {
  prepare();
  await expect(bound(path)).rejects.toThrow(why);
  expect(() => statSync(join(outside, 'none'))).toThrow();
});

it('makes nothing outside through a link', async () => {
  symlinkSync(outside, join(root, 'door'));
  await expect(bound('door/made')).rejects.toThrow();
  expect(() => statSync(join(outside, 'made'))).toThrow();
});

it('holds what it opened, when a container puts a link there before the mount', async () => {
  mkdirSync(join(root, 'swap'));
  writeFileSync(join(root, 'swap', 'secret'), 'own');
  let read = '';
  await mountSubPath(root, 'swap', target, async (source) => {
    execFileSync('mv', [join(root, 'swap'), join(root, 'moved')]);
    symlinkSync(outside, join(root, 'swap'));
    read = readFileSync(join(source, 'secret'), 'utf8');
  });
  expect(read).toBe('own');
});

it.skipIf(process.getuid?.() !== 0)('mounts, mounts again, and unmounts what it mounted', async () => {
  mkdirSync(join(root, 'kept'));
  writeFileSync(join(root, 'kept', 'f'), '1');
  const own = join(folder, 'own');
  for (let i = 0; i < 2; i++) await mountSubPath(root, 'kept', target);
  expect(readFileSync(join(target, 'f'), 'utf8')).toBe('1');
  expect(await mountsBelow(own)).toEqual([target]);
  await unmountBelow(own);
  expect(await mountsBelow(own)).toEqual([]);
  expect(readFileSync(join(root, 'kept', 'f'), 'utf8')).toBe('1');
});
