import { chmod, chown, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Files of a volume by relative path; `uid` owns the file, else root. */
export type Payload = Map<string, { data: Uint8Array; mode: number; uid?: number }>;

const current = async (directory: string): Promise<string | undefined> =>
  readlink(join(directory, '..data')).catch(() => undefined);

const equal = async (root: string, payload: Payload): Promise<boolean> => {
  const found = (await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])).filter((e) =>
    e.isFile(),
  );
  if (found.length !== payload.size) return false;
  for (const [path, { data }] of payload) {
    const on = await readFile(join(root, path)).catch(() => undefined);
    if (!on || Buffer.compare(on, data) !== 0) return false;
  }
  return true;
};

/**
 * Replaces all files of a volume at once: they lie in a dated directory, `..data` points to it, and the visible names
 * point into `..data`, so a reader sees the old set or the new one. Returns false when nothing changed. Paths that climb
 * out of the volume throw.
 */
export const writeAtomically = async (
  directory: string,
  payload: Payload,
  stamp: string,
  gid?: number,
): Promise<boolean> => {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  for (const path of payload.keys()) {
    if (path === '' || path.startsWith('/') || path.split('/').some((part) => part === '..')) {
      throw new Error(`invalid path in volume: "${path}"`);
    }
  }
  const old = await current(directory);
  if (old && (await equal(join(directory, old), payload))) return false;
  const fresh = `..${stamp}`;
  await mkdir(join(directory, fresh), { mode: 0o755 });
  for (const [path, { data, mode, uid = -1 }] of payload) {
    const target = join(directory, fresh, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await writeFile(target, data);
    await chmod(target, gid === undefined ? mode : mode | 0o040);
    if (uid >= 0 || gid !== undefined) await chown(target, uid, gid ?? -1);
  }
  await rm(join(directory, '..data_tmp'), { force: true });
  await symlink(fresh, join(directory, '..data_tmp'));
  await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  const names = new Set([...payload.keys()].map((path) => path.split('/')[0] ?? ''));
  const present = new Set(await readdir(directory));
  for (const name of names) if (!present.has(name)) await symlink(join('..data', name), join(directory, name));
  for (const name of present)
    if (!name.startsWith('..') && !names.has(name)) await rm(join(directory, name), { force: true });
  if (old && old !== fresh) await rm(join(directory, old), { recursive: true, force: true });
  return true;
};
