import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import * as z from 'zod';
import { CommandError, dataDirectory, parse, UsageError } from './command.ts';
import { readState } from './directory.ts';
import type { ImageFile, ImageSpec } from './image/build.ts';
import { baseFiles, binaryWithLibraries } from './image/libraries.ts';
import { loadArchive, loadImages } from './image/load.ts';

/** What `image.yaml` in the folder may say. */
const schema = z.strictObject({
  entrypoint: z.array(z.string()).optional(),
  command: z.array(z.string()).optional(),
  env: z.record(z.string(), z.string()).optional(),
  workingDir: z.string().optional(),
  user: z.string().optional(),
  /** Where the folder's files go; `/app` where absent. */
  target: z.string().default('/app'),
  /** Programs of this machine that go in with their libraries, by path or by name; `node` is the running one. */
  binaries: z.array(z.string()).default([]),
});

const binaryFiles = (name: string): ImageFile[] => {
  if (name === 'node') return binaryWithLibraries(process.execPath, '/usr/bin/node');
  const path = programOf(name);
  if (!path) throw new CommandError(`image.yaml: binaries: no program ${name} on this machine`);
  return binaryWithLibraries(path, path);
};

/** A program by its path, or by its name as the shell finds it. */
const programOf = (name: string): string | undefined => {
  const folders = name.startsWith('/') ? [''] : (process.env.PATH ?? '').split(':').map((folder) => `${folder}/`);
  return folders
    .map((folder) => `${folder}${name}`)
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
};

/** The image that a folder describes: its files, and what its image.yaml adds. */
export const specOf = (folder: string, name: string): ImageSpec => {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new CommandError(`no folder ${folder}`);
  const path = join(folder, 'image.yaml');
  const result = schema.safeParse(existsSync(path) ? (parseYaml(readFileSync(path, 'utf8')) ?? {}) : {});
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new CommandError(`image.yaml: ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { target, binaries, entrypoint, command, env, workingDir, user } = result.data;
  return {
    name,
    files: [...baseFiles(), ...binaries.flatMap(binaryFiles), { path: target, source: resolve(folder) }],
    workingDir: workingDir ?? target,
    ...(entrypoint && { entrypoint }),
    ...(command && { command }),
    ...(env && { env }),
    ...(user && { user }),
  };
};

const BUILD = 'image takes build DIR --name NAME[:TAG]';
const LOAD = 'image takes load FILE [--name NAME[:TAG]]';

const clusterIn = (data: string | undefined) => {
  const directory = dataDirectory(data);
  const state = readState(directory);
  if (!state) throw new CommandError(`no cluster in ${directory}: start one with ./skiff up`);
  return { directory, runtime: state.runtime };
};

const build = async (args: string[]): Promise<void> => {
  const { values, positionals } = parse(args, { name: { type: 'string' }, data: { type: 'string' } }, 1);
  const [folder] = positionals;
  if (!folder || !values.name) throw new UsageError(BUILD);
  const { directory, runtime } = clusterIn(values.data);
  const spec = specOf(folder, values.name);
  await loadImages(directory, runtime, [spec], console.log);
  if (!spec.entrypoint && !spec.command)
    console.log(`it starts no program of its own: name one by entrypoint in ${join(folder, 'image.yaml')}`);
};

const load = async (args: string[]): Promise<void> => {
  const { values, positionals } = parse(args, { name: { type: 'string' }, data: { type: 'string' } }, 1);
  const [file] = positionals;
  if (!file) throw new UsageError(LOAD);
  const { directory, runtime } = clusterIn(values.data);
  await loadArchive(directory, runtime, resolve(file), values.name, console.log);
};

/** `skiff image build DIR --name NAME[:TAG] [--data DIR]`, `skiff image load FILE [--name NAME[:TAG]] [--data DIR]` */
export const run = async (args: string[]): Promise<number> => {
  const [verb, ...rest] = args;
  if (verb === 'build') await build(rest);
  else if (verb === 'load') await load(rest);
  else throw new UsageError(`${BUILD}, or load FILE`);
  return 0;
};
