import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { endOfArchive, entryHeader, padding } from './tar.ts';

/** One file of an image. `source` is a path of this machine, a folder taken with all below it, or the content itself. */
export interface ImageFile {
  /** Absolute path inside the image. */
  path: string;
  source: string | Buffer;
  /** Permission bits; those of the source where absent (0644 for given content). */
  mode?: number;
}

export interface ImageSpec {
  /** `name:tag`, as pods refer to it. */
  name: string;
  files: ImageFile[];
  entrypoint?: string[];
  command?: string[];
  env?: Record<string, string>;
  workingDir?: string;
  user?: string;
}

type Content =
  | { type: 'bytes'; bytes: Buffer; mode: number }
  | { type: 'file'; source: string; mode: number; size: number }
  | { type: 'symlink'; target: string }
  | { type: 'directory'; mode: number };

const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };
const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

const addTree = (tree: Map<string, Content>, path: string, source: string, mode: number | undefined): void => {
  const info = lstatSync(source);
  if (info.isDirectory()) {
    tree.set(path, { type: 'directory', mode: info.mode & 0o7777 });
    for (const name of readdirSync(source).sort()) addTree(tree, posix.join(path, name), join(source, name), undefined);
  } else if (info.isSymbolicLink() && mode === undefined)
    tree.set(path, { type: 'symlink', target: readlinkSync(source) });
  else {
    const real = statSync(source);
    tree.set(path, { type: 'file', source, mode: mode ?? real.mode & 0o7777, size: real.size });
  }
};

/** Everything of the image by path, parents before children, with the folders in between. */
const treeOf = (files: readonly ImageFile[]): [string, Content][] => {
  const tree = new Map<string, Content>();
  for (const file of files) {
    const path = posix.normalize(file.path).replace(/^\/+/, '');
    if (typeof file.source === 'string') addTree(tree, path, file.source, file.mode);
    else tree.set(path, { type: 'bytes', bytes: file.source, mode: file.mode ?? 0o644 });
  }
  for (const path of [...tree.keys()]) {
    for (let parent = posix.dirname(path); parent !== '.' && parent !== '/'; parent = posix.dirname(parent)) {
      if (!tree.has(parent)) tree.set(parent, { type: 'directory', mode: 0o755 });
    }
  }
  if (!tree.has('tmp')) tree.set('tmp', { type: 'directory', mode: 0o1777 });
  return [...tree].sort(([a], [b]) => (a < b ? -1 : 1));
};

/** Writes to a file and digests what it writes. */
const digestingWriter = (path: string) => {
  const descriptor = openSync(path, 'w');
  const hash = createHash('sha256');
  let size = 0;
  return {
    write: (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
      hash.update(bytes);
      size += bytes.length;
    },
    end: () => {
      closeSync(descriptor);
      return { digest: hash.digest('hex'), size };
    },
  };
};

const copy = async (source: string, write: (bytes: Buffer) => void): Promise<void> => {
  for await (const chunk of createReadStream(source, { highWaterMark: 1 << 20 })) write(chunk as Buffer);
};

const writeLayer = async (files: readonly ImageFile[], path: string) => {
  const out = digestingWriter(path);
  for (const [name, content] of treeOf(files)) {
    if (content.type === 'directory')
      out.write(entryHeader({ path: name, type: 'directory', mode: content.mode, size: 0 }));
    else if (content.type === 'symlink') {
      out.write(entryHeader({ path: name, type: 'symlink', mode: 0o777, size: 0, link: content.target }));
    } else {
      const size = content.type === 'bytes' ? content.bytes.length : content.size;
      out.write(entryHeader({ path: name, type: 'file', mode: content.mode, size }));
      if (content.type === 'bytes') out.write(content.bytes);
      else await copy(content.source, out.write);
      out.write(padding(size));
    }
  }
  out.write(endOfArchive());
  return out.end();
};

const configOf = (spec: ImageSpec, diffId: string): string =>
  JSON.stringify({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    config: {
      Env: [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        ...Object.entries(spec.env ?? {}).map(([k, v]) => `${k}=${v}`),
      ],
      ...(spec.entrypoint && { Entrypoint: spec.entrypoint }),
      ...(spec.command && { Cmd: spec.command }),
      ...(spec.workingDir && { WorkingDir: spec.workingDir }),
      ...(spec.user && { User: spec.user }),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
    history: [{ created_by: 'skiff image build' }],
  });

/** A reference with its registry and tag, as containerd stores names: `docker.io/library/x:latest` for `x`. */
export const fullReference = (name: string): string => {
  const [first = '', ...rest] = name.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const path = hasRegistry ? name : rest.length > 0 ? `docker.io/${name}` : `docker.io/library/${name}`;
  return /:[^/]+$/.test(path) || path.includes('@') ? path : `${path}:latest`;
};

/**
 * Makes an image of one layer and writes it to `out` as a tar that is both an OCI image layout and a docker archive: loads
 * in containerd, nerdctl, docker and podman. The same input gives the same bytes. Source: OCI image specification 1.1.
 */
export const buildImage = async (spec: ImageSpec, out: string): Promise<{ digest: string; sizeBytes: number }> => {
  const scratch = await mkdtemp(join(tmpdir(), 'skiff-image-'));
  try {
    const layerPath = join(scratch, 'layer.tar');
    const layer = await writeLayer(spec.files, layerPath);
    const config = configOf(spec, layer.digest);
    const blob = (digest: string): string => `blobs/sha256/${digest}`;
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        digest: `sha256:${sha256(config)}`,
        size: config.length,
      },
      layers: [
        { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: `sha256:${layer.digest}`, size: layer.size },
      ],
    });
    const name = fullReference(spec.name);
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: `sha256:${sha256(manifest)}`,
          size: manifest.length,
          annotations: {
            'io.containerd.image.name': name,
            'org.opencontainers.image.ref.name': name.split(':').at(-1),
          },
        },
      ],
    });
    const docker = JSON.stringify([{ Config: blob(sha256(config)), RepoTags: [name], Layers: [blob(layer.digest)] }]);
    const tar = digestingWriter(out);
    const add = (path: string, text: string) => {
      const bytes = Buffer.from(text);
      tar.write(entryHeader({ path, type: 'file', mode: 0o644, size: bytes.length }));
      tar.write(bytes);
      tar.write(padding(bytes.length));
    };
    add('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    add('index.json', index);
    add('manifest.json', docker);
    add(blob(sha256(manifest)), manifest);
    add(blob(sha256(config)), config);
    tar.write(entryHeader({ path: blob(layer.digest), type: 'file', mode: 0o644, size: layer.size }));
    await copy(layerPath, tar.write);
    tar.write(padding(layer.size));
    tar.write(endOfArchive());
    const { size } = tar.end();
    return { digest: `sha256:${sha256(manifest)}`, sizeBytes: size };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};
