import { createReadStream, existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Runtime } from '../../agent/runtime/runtime.ts';
import { CommandError } from '../command.ts';
import { openRuntime } from '../node-runtime.ts';
import type { RuntimeName } from '../runtime-choice.ts';
import { buildImage, type ImageSpec } from './build.ts';

const withArchive = async <T>(spec: ImageSpec, use: (path: string, sizeBytes: number) => Promise<T>): Promise<T> => {
  const folder = await mkdtemp(join(tmpdir(), 'skiff-archive-'));
  try {
    const path = join(folder, 'image.tar');
    const { sizeBytes } = await buildImage(spec, path);
    return await use(path, sizeBytes);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/** Makes an image and loads it into one runtime. */
export const loadInto = (runtime: Runtime, spec: ImageSpec): Promise<void> =>
  withArchive(spec, async (path) => {
    await runtime.images.load(createReadStream(path));
  });

/** Makes images and loads them into every node of a data directory. Returns how many. */
export const loadImages = async (
  directory: string,
  name: RuntimeName,
  specs: readonly ImageSpec[],
  say: (line: string) => void,
): Promise<number> => {
  const root = join(directory, 'nodes');
  const nodes = existsSync(root) ? readdirSync(root) : [];
  if (name === 'hollow' || nodes.length === 0) throw new CommandError(`no node in ${directory} runs containers`);
  for (const spec of specs) {
    await withArchive(spec, async (path, sizeBytes) => {
      for (const node of nodes) {
        const runtime = await openRuntime(name, join(root, node));
        try {
          await runtime.images.load(createReadStream(path));
        } finally {
          await runtime.close();
        }
      }
      say(
        `${spec.name} (${sizeBytes < 1e5 ? `${(sizeBytes / 1e3).toFixed(0)} kB` : `${(sizeBytes / 1e6).toFixed(1)} MB`})`,
      );
    });
  }
  return specs.length;
};
