import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError } from '../command.ts';
import type { ImageSpec } from '../image/build.ts';
import { baseFiles, binaryWithLibraries } from '../image/libraries.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/guestbook');
const MULTIARCH: Record<string, string> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** The web front end on the running node: `version` only names the image, the app is told its version by the pod. */
export const webImage = (version: string): ImageSpec => ({
  name: `skiff.local/guestbook:${version}`,
  files: [
    ...baseFiles(),
    ...binaryWithLibraries(process.execPath, '/usr/bin/node'),
    { path: '/app/server.ts', source: join(EXAMPLE, 'web/server.ts') },
  ],
  entrypoint: ['/usr/bin/node', '/app/server.ts'],
  workingDir: '/app',
});

/** Unpacks Debian's redis without installing it: nothing of the host changes, and no service starts. */
const unpackRedis = (folder: string): string => {
  const archives = join(folder, 'archives');
  mkdirSync(join(archives, 'partial'), { recursive: true });
  const apt = (args: string[]): void => {
    execFileSync('apt-get', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  };
  const download = [
    'install',
    '-y',
    '--download-only',
    '--no-install-recommends',
    '-o',
    `Dir::Cache::archives=${archives}`,
    'redis-server',
  ];
  try {
    apt(download);
  } catch {
    apt(['update', '-qq']);
    apt(download);
  }
  const root = join(folder, 'root');
  for (const name of readdirSync(archives)) {
    if (name.endsWith('.deb')) execFileSync('dpkg-deb', ['-x', join(archives, name), root]);
  }
  return root;
};

/** redis-server: the one that is installed, or Debian's package. */
export const redisImage = (): { spec: ImageSpec; done: () => void } => {
  const folder = mkdtempSync(join(tmpdir(), 'skiff-redis-'));
  const done = () => rmSync(folder, { recursive: true, force: true });
  try {
    const installed = '/usr/bin/redis-server';
    const root = existsSync(installed) ? '' : unpackRedis(folder);
    const binary = realpathSync(`${root}${installed}`);
    const multiarch = MULTIARCH[process.arch] ?? '';
    const libraries = root ? [`${root}/usr/lib/${multiarch}`, `${root}/lib/${multiarch}`] : [];
    const files = [...baseFiles(), ...binaryWithLibraries(binary, installed, libraries)];
    const env = { LD_LIBRARY_PATH: `/usr/lib:/usr/lib/${multiarch}` };
    return { spec: { name: 'skiff.local/redis:1', files, entrypoint: [installed], env }, done };
  } catch (error) {
    done();
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new CommandError(`Debian's redis-server package could not be had: ${why}`);
  }
};
