import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { detailsOf, type GrpcConnection } from './grpc.ts';
import { type ImageInfo, type Images, RuntimeError } from './runtime.ts';

const IMAGES = '/runtime.v1.ImageService';
const CALL_MS = 30_000;
const PULL_MS = 10 * 60_000;

interface CriImage {
  id: string;
  repo_tags: string[];
  repo_digests: string[];
  size: number;
  uid: { value: number } | null;
  username: string;
}

const infoOf = (image: CriImage): ImageInfo => ({
  id: image.id,
  names: [...image.repo_tags, ...image.repo_digests],
  sizeBytes: image.size,
  ...(image.uid && { uid: image.uid.value }),
  ...(image.username && { username: image.username }),
});

/** Runs containerd's own client, for what the CRI cannot. Throws what it said, with this reason. */
const ctr = async (
  socket: string,
  args: string[],
  reason: string,
  input: NodeJS.ReadableStream = Readable.from([]),
): Promise<string> => {
  const child = spawn('ctr', ['--address', socket, '--namespace', 'k8s.io', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk;
    });
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  await pipeline(input, child.stdin).catch(() => {});
  if ((await ended) !== 0) throw new RuntimeError(reason, said.trim().split('\n').at(-1) ?? 'ctr failed');
  return said;
};

const importArchive = async (socket: string, tar: NodeJS.ReadableStream): Promise<string[]> => {
  const said = await ctr(socket, ['images', 'import', '--all-platforms', '-'], 'ErrImageLoad', tar);
  return [...said.matchAll(/unpacking (\S+)/g)].map((m) => m[1] ?? '');
};

const run = promisify(execFile);
/** KEP-4639: nothing in an image volume is written or run. */
const VOLUME_FLAGS = 'remount,bind,ro,noexec,nosuid,nodev';

/** A view of the image's files as a snapshot named for its mount point. */
const imageMounts = (socket: string, has: (ref: string) => Promise<ImageInfo | undefined>) => {
  const forget = (target: string) => ctr(socket, ['snapshots', 'rm', target], 'ErrImageMount').catch(() => {});
  const isMounted = async (target: string): Promise<boolean> =>
    (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').some((line) => line.split(' ')[4] === target);
  const unmount = async (target: string): Promise<void> => {
    if (await isMounted(target)) await run('umount', ['-l', target]);
    await forget(target);
    await ctr(socket, ['leases', 'rm', target], 'ErrImageMount').catch(() => {});
  };
  const mount = async (ref: string, target: string): Promise<void> => {
    if (await isMounted(target)) return;
    const [name] = (await has(ref))?.names ?? [];
    if (!name) throw new RuntimeError('ErrImageMount', `image "${ref}" is not present`);
    await unmount(target);
    await ctr(socket, ['images', 'mount', name, target], 'ErrImageMount');
    try {
      await run('mount', ['-o', VOLUME_FLAGS, target]);
    } catch (error) {
      await unmount(target);
      throw error;
    }
  };
  return { mount, unmount };
};

/** Images of containerd's `k8s.io` namespace, as the CRI shows them. */
export const createCriImages = (grpc: GrpcConnection, socket: string): Images => {
  const call = <T>(method: string, type: string, value: object, response: string, timeoutMs = CALL_MS): Promise<T> =>
    grpc.call<T>(`${IMAGES}/${method}`, [type, value], response, timeoutMs);
  const has = async (ref: string): Promise<ImageInfo | undefined> => {
    const { image } = await call<{ image: CriImage | null }>(
      'ImageStatus',
      'ImageRequest',
      { image: { image: ref } },
      'ImageStatusResponse',
    );
    return image?.id ? infoOf(image) : undefined;
  };
  return {
    has,
    pull: async (ref, auth) => {
      try {
        const request = { image: { image: ref }, ...(auth && { auth }) };
        await call('PullImage', 'PullImageRequest', request, 'PullImageResponse', PULL_MS);
      } catch (error) {
        throw new RuntimeError('ErrImagePull', detailsOf(error), { cause: error });
      }
      const pulled = await has(ref);
      if (!pulled) throw new RuntimeError('ErrImagePull', `${ref} was pulled, but is not there`);
      return pulled;
    },
    load: (tar) => importArchive(socket, tar),
    ...imageMounts(socket, has),
    list: async () => {
      const { images } = await call<{ images: CriImage[] }>('ListImages', 'Empty', {}, 'ListImagesResponse');
      return images.map(infoOf);
    },
    remove: async (ref) => {
      await call('RemoveImage', 'ImageRequest', { image: { image: ref } }, 'Empty');
    },
  };
};
