import { createReadStream, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Runtime } from '../../agent/runtime/runtime.ts';
import { CommandError } from '../command.ts';
import { openRuntime } from '../node-runtime.ts';
import type { RuntimeName } from '../runtime-choice.ts';
import { describeArchive, openArchive } from './archive.ts';
import { buildImage, fullReference, type ImageSpec } from './build.ts';

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

/** Works on every node of a data directory that runs containers; CommandError where none does. */
const onNodes = async (
  directory: string,
  name: RuntimeName,
  work: (runtime: Runtime) => Promise<void>,
): Promise<void> => {
  const root = join(directory, 'nodes');
  const nodes = existsSync(root) ? readdirSync(root) : [];
  if (name === 'hollow' || nodes.length === 0) throw new CommandError(`no node in ${directory} runs containers`);
  for (const node of nodes) {
    const runtime = await openRuntime(name, join(root, node));
    try {
      await work(runtime);
    } finally {
      await runtime.close();
    }
  }
};

const sizeText = (bytes: number): string =>
  bytes < 1e5 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

/** Makes images and loads them into every node of a data directory. Returns how many. */
export const loadImages = async (
  directory: string,
  name: RuntimeName,
  specs: readonly ImageSpec[],
  say: (line: string) => void,
): Promise<number> => {
  for (const spec of specs) {
    await withArchive(spec, async (path, sizeBytes) => {
      await onNodes(directory, name, async (runtime) => {
        await runtime.images.load(createReadStream(path));
      });
      say(`${spec.name} (${sizeText(sizeBytes)})`);
    });
  }
  return specs.length;
};

/**
 * Loads an archive of images (OCI image layout or docker save; plain, gzip or zstd) into every node of a data directory,
 * under `name` where one is given. Says each name. CommandError where it is no such archive, or a name is missing or
 * would be ambiguous.
 */
export const loadArchive = async (
  directory: string,
  runtimeName: RuntimeName,
  path: string,
  name: string | undefined,
  say: (line: string) => void,
): Promise<void> => {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) throw new CommandError(`no file ${path}`);
  const { names, images } = await describeArchive(path);
  if (images === 0) throw new CommandError(`${path} holds no image`);
  if (name === undefined && names.length === 0)
    throw new CommandError(`the image in ${path} has no name: give it one by --name NAME[:TAG]`);
  if (name !== undefined && images > 1)
    throw new CommandError(`${path} holds ${images} images: --name can name only one`);
  await onNodes(directory, runtimeName, async (runtime) => {
    await runtime.images.load(await openArchive(path, name)).catch((error: Error) => {
      throw new CommandError(`${path}: ${error.message}`);
    });
  });
  for (const one of name === undefined ? names : [fullReference(name)])
    say(`${one} (${sizeText(statSync(path).size)})`);
};
