import { execFile } from 'node:child_process';
import { chmod, type FileHandle, mkdir, open, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { promisify } from 'node:util';
import { RuntimeError } from '../runtime/runtime.ts';

const run = promisify(execFile);

/** Opens nothing of the file itself: no FIFO blocks, no device is touched (open(2)). */
const O_PATH = 0o10000000;
const O_NOFOLLOW = 0o400000;

const refused = (path: string, why: string): RuntimeError =>
  new RuntimeError('CreateContainerConfigError', `failed to prepare subPath for volumeMount: "${path}" ${why}`);

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** The components of `path` below `root` once every link is followed, as far as it exists, then those that do not. */
const resolveBelow = async (root: string, path: string): Promise<string[]> => {
  const base = await realpath(root);
  const missing: string[] = [];
  let rest = path.split('/').filter((part) => part !== '' && part !== '.');
  for (;;) {
    const real = await realpath(join(base, ...rest)).catch((error: unknown) => {
      if (isGone(error) && rest.length > 0) return undefined;
      throw error;
    });
    if (real === undefined) {
      missing.unshift(rest.at(-1) ?? '');
      rest = rest.slice(0, -1);
      continue;
    }
    if (real !== base && !real.startsWith(base + sep)) throw refused(path, 'leads out of the volume');
    return [...real.slice(base.length).split(sep).filter(Boolean), ...missing];
  }
};

const at = (folder: FileHandle, name: string): string => `/proc/self/fd/${folder.fd}/${name}`;

/** One step down that follows no link; what is absent is made a directory. */
const descend = async (folder: FileHandle, name: string, mode: number): Promise<FileHandle> => {
  const here = at(folder, name);
  const take = () => open(here, O_PATH | O_NOFOLLOW);
  return take().catch(async (error: unknown) => {
    if (!isGone(error)) throw error;
    await mkdir(here, { mode });
    const made = await take();
    // The umask must not narrow it.
    if ((await made.stat()).isDirectory()) await chmod(`/proc/self/fd/${made.fd}`, mode);
    return made;
  });
};

/**
 * Opens `path` below the volume `root` and holds it: each part by the folder before it, no link followed. So a container
 * that shares the volume and puts links where folders were, between a look and the mount, gets an error and nothing else
 * (CVE-2017-1002101, CVE-2021-25741). What is absent is made, with the volume's own permissions.
 */
const openBelow = async (root: string, path: string): Promise<FileHandle> => {
  const parts = await resolveBelow(root, path);
  const { mode } = await stat(root);
  let folder = await open(root, O_PATH);
  try {
    for (const part of parts) {
      const next = await descend(folder, part, mode & 0o7777);
      await folder.close();
      folder = next;
      if ((await folder.stat()).isSymbolicLink()) throw refused(path, 'leads out of the volume');
    }
    return folder;
  } catch (error) {
    await folder.close();
    throw error instanceof RuntimeError ? error : refused(path, `cannot be opened: ${(error as Error).message}`);
  }
};

/** Puts an open file or directory at `target`. */
export type Bind = (source: string, target: string) => Promise<void>;

const bindMount: Bind = async (source, target) => {
  await run('mount', ['--no-canonicalize', '--bind', source, target]);
};

/** Mount points at or below a folder, deepest first. */
export const mountsBelow = async (folder: string): Promise<string[]> => {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return table
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
    .filter((path) => path === folder || path.startsWith(folder + sep))
    .sort((a, b) => b.length - a.length);
};

/** Unmounts everything at or below a folder. Throws when something stays: then nothing there may be removed. */
export const unmountBelow = async (folder: string): Promise<void> => {
  for (const path of await mountsBelow(folder)) await run('umount', ['-l', path]).catch(() => {});
  const [left] = await mountsBelow(folder);
  if (left !== undefined) throw new Error(`${left} cannot be unmounted`);
};

/**
 * Makes `path` below the volume `root` available at `target`, a path of the agent's own that no container can change, and
 * returns that. Replaces what was mounted there. Throws RuntimeError CreateContainerConfigError.
 */
export const mountSubPath = async (
  root: string,
  path: string,
  target: string,
  bind: Bind = bindMount,
): Promise<string> => {
  if (path.startsWith('/') || path.split('/').includes('..'))
    throw new RuntimeError('CreateContainerConfigError', `invalid subPath "${path}"`);
  await unmountBelow(target);
  await rm(target, { recursive: true, force: true });
  const found = await openBelow(root, path);
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o750 });
    if ((await found.stat()).isDirectory()) await mkdir(target);
    else await writeFile(target, '');
    await bind(`/proc/${process.pid}/fd/${found.fd}`, target);
    return target;
  } finally {
    await found.close();
  }
};
