import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Cli, failureOf } from './nerdctl-cli.ts';
import { type ImageInfo, type Images, RuntimeError } from './runtime.ts';

const PULL_MS = 10 * 60_000;
const LOAD_MS = 10 * 60_000;
const CALL_MS = 30_000;

/**
 * The part of `nerdctl image inspect --mode native` that is read. The docker format will not do: nerdctl 2.0.5 panics over
 * an image whose configuration has no `created`.
 */
interface NativeImage {
  Image: { Name: string; Target: { digest: string } };
  ImageConfigDesc: { digest: string };
  ImageConfig: { config?: { User?: string } };
  size?: number;
}

const repositoryOf = (name: string): string => name.replace(/@.*$/, '').replace(/:[^/:]+$/, '');

/** The user of an image's configuration: `UID[:GID]` or `NAME[:GROUP]`. */
const userOf = (user: string): Pick<ImageInfo, 'uid' | 'username'> => {
  const [name = ''] = user.split(':');
  if (name === '') return {};
  return /^\d+$/.test(name) ? { uid: Number(name) } : { username: name };
};

const infoOf = (images: readonly NativeImage[]): ImageInfo | undefined => {
  const [first] = images;
  if (!first) return undefined;
  const names = images.flatMap((i) => [i.Image.Name, `${repositoryOf(i.Image.Name)}@${i.Image.Target.digest}`]);
  return {
    id: first.ImageConfigDesc.digest,
    names: [...new Set(names)],
    sizeBytes: first.size ?? 0,
    ...userOf(first.ImageConfig.config?.User ?? ''),
  };
};

/** Logs in for one pull and out again: nerdctl takes credentials from docker's configuration only. */
const withLogin = async <T>(
  cli: Cli,
  ref: string,
  auth: { username: string; password: string },
  use: () => Promise<T>,
) => {
  const [first = ''] = ref.split('/');
  const server = ref.includes('/') && /[.:]|^localhost$/.test(first) ? [first] : [];
  await cli.call(['login', '--username', auth.username, '--password-stdin', ...server], {
    input: Readable.from([auth.password]),
    timeoutMs: CALL_MS,
  });
  try {
    return await use();
  } finally {
    await cli.run(['logout', ...server], { timeoutMs: CALL_MS }).catch(() => {});
  }
};

/** Images of containerd's `skiff` namespace, as nerdctl shows them. */
export const createNerdctlImages = (cli: Cli): Images => {
  const inspect = async (refs: readonly string[]): Promise<NativeImage[]> => {
    const { stdout } = await cli.run(['image', 'inspect', '--mode', 'native', ...refs], { timeoutMs: CALL_MS });
    const text = stdout.toString().trim();
    return text === '' ? [] : (JSON.parse(text) as NativeImage[]);
  };
  const has = async (ref: string): Promise<ImageInfo | undefined> => infoOf(await inspect([ref]));
  return {
    has,
    pull: async (ref, auth) => {
      const pull = async () => {
        const { code, stderr } = await cli.run(['pull', '--quiet', ref], { timeoutMs: PULL_MS });
        if (code !== 0) throw new RuntimeError('ErrImagePull', failureOf(stderr.toString()));
      };
      try {
        await (auth ? withLogin(cli, ref, auth, pull) : pull());
      } catch (error) {
        if (error instanceof RuntimeError) throw error;
        throw new RuntimeError('ErrImagePull', error instanceof Error ? error.message : String(error), {
          cause: error,
        });
      }
      const pulled = await has(ref);
      if (!pulled) throw new RuntimeError('ErrImagePull', `${ref} was pulled, but is not there`);
      return pulled;
    },
    load: async (tar: Readable) => {
      // nerdctl takes a pipe of the shell, not the socket that Node gives as standard input.
      const folder = await mkdtemp(join(tmpdir(), 'skiff-load-'));
      try {
        const path = join(folder, 'image.tar');
        await pipeline(tar, createWriteStream(path));
        const { code, stdout, stderr } = await cli.run(['load', '--input', path], { timeoutMs: LOAD_MS });
        if (code !== 0) throw new RuntimeError('ErrImageLoad', failureOf(stderr.toString()));
        return [...stdout.toString().matchAll(/^Loaded image: (\S+)$/gm)].map((m) => m[1] ?? '');
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    list: async () => {
      const lines = await cli.call(['images', '--no-trunc', '--format', '{{.Name}}'], { timeoutMs: CALL_MS });
      const names = lines.split('\n').filter(Boolean);
      const byId = new Map<string, NativeImage[]>();
      for (const image of names.length > 0 ? await inspect(names) : []) {
        const id = image.ImageConfigDesc.digest;
        byId.set(id, [...(byId.get(id) ?? []), image]);
      }
      return [...byId.values()].flatMap((images) => infoOf(images) ?? []);
    },
    remove: async (ref) => {
      const { code, stderr } = await cli.run(['rmi', '--force', ref], { timeoutMs: CALL_MS });
      const said = failureOf(stderr.toString());
      if (code !== 0 && !/no such image/i.test(said)) throw new RuntimeError('ImageRemoveError', said);
    },
  };
};
