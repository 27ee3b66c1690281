import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { CommandError } from '../command.ts';
import { fullReference } from './build.ts';
import { entryHeader, padding } from './tar.ts';
import { readTar, type TarPart } from './tar-reader.ts';

/** What an archive of images says it holds. */
export interface ImageArchive {
  /** Full references; empty where the images in it have no names. */
  names: string[];
  /** How many images it has. */
  images: number;
}

/** Where the two formats list their images: OCI image layout 1.0 and `docker save`. */
const LISTS = ['index.json', 'manifest.json'];
const LIST_BYTES_MAX = 4 << 20;
const IMAGE_NAME = 'io.containerd.image.name';
const REF_NAME = 'org.opencontainers.image.ref.name';

interface OciIndex {
  manifests?: { annotations?: Record<string, string> }[];
}
type DockerManifest = { RepoTags?: string[] | null }[];

/** The archive's bytes, unpacked where they are packed with gzip or zstd. */
const openPlain = async (path: string): Promise<Readable> => {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  const first = await new Promise<Buffer>((resolve, reject) => {
    file.once('error', reject);
    file.once('end', () => resolve(Buffer.alloc(0)));
    file.once('readable', () => resolve(file.read() ?? Buffer.alloc(0)));
  });
  file.unshift(first);
  const packed = first.length > 4 ? first.readUInt32BE(0) : 0;
  const unpack = packed >>> 16 === 0x1f8b ? createGunzip() : packed === 0x28b52ffd ? createZstdDecompress() : undefined;
  if (!unpack) return file;
  file.on('error', (error) => unpack.destroy(error));
  return file.pipe(unpack);
};

const listName = (path: string): string | undefined => LISTS.find((name) => path === name || path === `./${name}`);

const isList = ({ path, size }: { path: string; size: number }): boolean => {
  if (listName(path) === undefined) return false;
  if (size > LIST_BYTES_MAX) throw new CommandError(`${path} in the archive is too large`);
  return true;
};

const parseList = ({ content }: TarPart, name: string): unknown => {
  try {
    return JSON.parse(content?.toString('utf8') ?? '');
  } catch {
    throw new CommandError(`${name} in the archive is not JSON`);
  }
};

/** The name of an OCI index entry: containerd's own annotation, or a ref.name that is more than a tag. */
const ociName = (annotations: Record<string, string> = {}): string | undefined => {
  const ref = annotations[REF_NAME] ?? '';
  const name = annotations[IMAGE_NAME] ?? (/[/:]/.test(ref) ? ref : '');
  return name === '' ? undefined : fullReference(name);
};

const described = (lists: ReadonlyMap<string, unknown>): ImageArchive => {
  const index = lists.get('index.json') as OciIndex | undefined;
  if (index?.manifests) {
    const names = index.manifests.flatMap((m) => ociName(m.annotations) ?? []);
    return { names: [...new Set(names)], images: index.manifests.length };
  }
  const docker = lists.get('manifest.json');
  if (!Array.isArray(docker))
    throw new CommandError('no archive of images: neither an OCI layout nor from docker save');
  const entries = docker as DockerManifest;
  return { names: entries.flatMap((e) => (e.RepoTags ?? []).map(fullReference)), images: entries.length };
};

/** What an archive (OCI image layout or docker save, plain or packed) holds. CommandError when it is neither. */
export const describeArchive = async (path: string): Promise<ImageArchive> => {
  const lists = new Map<string, unknown>();
  for await (const part of readTar(await openPlain(path), isList)) {
    const name = part.content && listName(part.path);
    if (name) lists.set(name, parseList(part, name));
  }
  return described(lists);
};

/** A list with every image named so, or without a name each by its own, where containerd looks for it. */
const named = (file: string, list: unknown, reference: string | undefined): unknown => {
  if (file === 'manifest.json')
    return reference === undefined ? list : (list as DockerManifest).map((e) => ({ ...e, RepoTags: [reference] }));
  const { manifests = [], ...rest } = list as OciIndex;
  const nameOf = (annotations: Record<string, string> | undefined) => {
    const name = reference ?? ociName(annotations);
    return name === undefined ? {} : { annotations: { ...annotations, [IMAGE_NAME]: name } };
  };
  return { ...rest, manifests: manifests.map((m) => ({ ...m, ...nameOf(m.annotations) })) };
};

async function* withNames(parts: AsyncIterable<TarPart>, reference: string | undefined): AsyncGenerator<Buffer> {
  for await (const part of parts) {
    const file = part.content && listName(part.path);
    if (!file) {
      yield part.raw;
      continue;
    }
    const bytes = Buffer.from(JSON.stringify(named(file, parseList(part, file), reference)));
    yield entryHeader({ path: file, type: 'file', mode: 0o644, size: bytes.length });
    yield bytes;
    yield padding(bytes.length);
  }
}

/**
 * The archive as a plain tar with full references, for a runtime to load; its one image goes by `name` where that is given.
 * What else is in the archive stays as it is.
 */
export const openArchive = async (path: string, name?: string): Promise<Readable> => {
  const parts = readTar(await openPlain(path), isList);
  return Readable.from(withNames(parts, name === undefined ? undefined : fullReference(name)), { objectMode: false });
};
