import { mkdir, open, stat } from 'node:fs/promises';

/** Checks (or makes) what a hostPath volume of that type needs. Throws with kubelet's words. */
export const checkHostPath = async (path: string, type: string): Promise<void> => {
  if (type === '') return;
  const found = await stat(path).catch(() => undefined);
  if (type === 'DirectoryOrCreate') {
    if (!found) await mkdir(path, { recursive: true, mode: 0o755 });
    else if (!found.isDirectory()) throw new Error(`hostPath type check failed: ${path} is not a directory`);
    return;
  }
  if (type === 'FileOrCreate') {
    if (!found) await (await open(path, 'a', 0o644)).close();
    else if (!found.isFile()) throw new Error(`hostPath type check failed: ${path} is not a file`);
    return;
  }
  const checks: Record<string, [boolean | undefined, string]> = {
    Directory: [found?.isDirectory(), 'a directory'],
    File: [found?.isFile(), 'a file'],
    Socket: [found?.isSocket(), 'a socket file'],
    CharDevice: [found?.isCharacterDevice(), 'a character device'],
    BlockDevice: [found?.isBlockDevice(), 'a block device'],
  };
  const check = checks[type];
  if (!check) throw new Error(`${type} is an invalid volume type`);
  if (!check[0]) throw new Error(`hostPath type check failed: ${path} is not ${check[1]}`);
};
