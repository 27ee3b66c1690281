import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import type { ImageFile } from './build.ts';

/**
 * A dynamically linked program with every library that the loader would find, at the paths where it looks for them.
 * `libraryPath` is searched before the system's folders (packages unpacked but not installed).
 */
export const binaryWithLibraries = (binary: string, at: string, libraryPath: readonly string[] = []): ImageFile[] => {
  const files: ImageFile[] = [{ path: at, source: realpathSync(binary), mode: 0o755 }];
  let listing = '';
  try {
    const env = { ...process.env, LD_LIBRARY_PATH: libraryPath.join(':') };
    listing = execFileSync('ldd', [binary], { env, stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  } catch {
    return files;
  }
  for (const line of listing.split('\n')) {
    if (line.includes('not found')) throw new Error(`${binary} needs ${line.trim().split(' ')[0]}, which is not here`);
    const [, name, path] = /^\s*(?:(\S+) => )?(\/\S+) \(0x/.exec(line) ?? [];
    if (!path || !existsSync(path)) continue;
    const system = libraryPath.some((folder) => path.startsWith(folder)) ? `/usr/lib/${name}` : path;
    files.push({ path: system, source: realpathSync(path), mode: 0o755 });
  }
  return files;
};

/** What a program that resolves names and users expects to find. */
export const baseFiles = (): ImageFile[] => [
  {
    path: '/etc/passwd',
    source: Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
  },
  { path: '/etc/group', source: Buffer.from('root:x:0:\nnogroup:x:65534:\n') },
  { path: '/etc/nsswitch.conf', source: Buffer.from('hosts: files dns\n') },
];
