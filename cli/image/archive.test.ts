import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';
import { describeArchive, openArchive } from './archive.ts';
import { buildImage } from './build.ts';
import { entryHeader, padding } from './tar.ts';

const folder = mkdtempSync(join(tmpdir(), 'skiff-load-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const built = join(folder, 'built.tar');
await buildImage({ name: 'team/app:1', files: [{ path: '/x', source: Buffer.alloc(3_000_000, 7) }] }, built);

/** A tar archive of these files as the system's tar makes it. */
const tarOf = (name: string, files: Record<string, unknown>, ...flags: string[]): string => {
  const source = join(folder, name);
  mkdirSync(source);
  for (const [path, content] of Object.entries(files)) writeFileSync(join(source, path), JSON.stringify(content));
  const out = join(folder, `${name}.tar`);
  execFileSync('tar', ['-cf', out, ...flags, '-C', source, '.']);
  return out;
};

const fileIn = (archive: string, path: string): unknown =>
  JSON.parse(execFileSync('tar', ['-xOf', archive, path]).toString());

it.each([
  ['plain', (bytes: Buffer) => bytes],
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)('reads a %s archive, and hands it on plain and unchanged', async (name, pack) => {
  const path = join(folder, `packed-${name}`);
  writeFileSync(path, pack(readFileSync(built)));
  expect(await describeArchive(path)).toEqual({ names: ['docker.io/team/app:1'], images: 1 });
  expect((await buffer(await openArchive(path))).equals(readFileSync(built))).toBe(true);
});

it('gives the one image another name in both lists, and leaves the layers as they are', async () => {
  const out = join(folder, 'renamed.tar');
  writeFileSync(out, await buffer(await openArchive(built, 'registry.example/b')));
  expect(await describeArchive(out)).toEqual({ names: ['registry.example/b:latest'], images: 1 });
  expect(fileIn(out, 'manifest.json')).toMatchObject([{ RepoTags: ['registry.example/b:latest'] }]);
  const list = (path: string) => execFileSync('tar', ['-tf', path]).toString();
  expect(list(out)).toBe(list(built));
  const layer = /blobs\S+$/.exec(list(built).trim())?.[0] ?? '';
  const layerOf = (path: string) => execFileSync('tar', ['-xOf', path, layer], { maxBuffer: 1 << 26 });
  expect(layerOf(out).equals(layerOf(built))).toBe(true);
});

it('reads what docker save and other makers write, also with pax headers and ./ before names', async () => {
  const docker = tarOf(
    'docker',
    { 'manifest.json': [{ Config: 'c', RepoTags: ['a:1', 'b'], Layers: [] }] },
    '--format=pax',
  );
  expect(await describeArchive(docker)).toEqual({
    names: ['docker.io/library/a:1', 'docker.io/library/b:latest'],
    images: 1,
  });
  const ref = (value: string) => ({ annotations: { 'org.opencontainers.image.ref.name': value } });
  const oci = tarOf('oci', { 'index.json': { manifests: [ref('quay.io/x/y:2'), ref('latest'), {}] } });
  expect(await describeArchive(oci)).toEqual({ names: ['quay.io/x/y:2'], images: 3 });
  const loaded = join(folder, 'oci-loaded.tar');
  writeFileSync(loaded, await buffer(await openArchive(oci)));
  const { manifests } = fileIn(loaded, 'index.json') as { manifests: { annotations?: Record<string, string> }[] };
  expect(manifests.map((m) => m.annotations?.['io.containerd.image.name'])).toEqual([
    'quay.io/x/y:2',
    undefined,
    undefined,
  ]);
  const nameless = tarOf('nameless', { 'manifest.json': [{ Config: 'c', RepoTags: null, Layers: [] }] });
  expect(await describeArchive(nameless)).toEqual({ names: [], images: 1 });
});

it('says what is wrong with a file that is no archive of images', async () => {
  const file = (name: string, bytes: Buffer | string): string => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  await expect(describeArchive(file('text', 'x'.repeat(2000)))).rejects.toThrow('not a tar archive');
  await expect(describeArchive(file('empty', ''))).rejects.toThrow('no archive of images');
  await expect(describeArchive(file('cut', readFileSync(built).subarray(0, 1_000_000)))).rejects.toThrow(
    'ends too early',
  );
  await expect(describeArchive(tarOf('other', { 'a.json': {} }))).rejects.toThrow('no archive of images');
  const broken = Buffer.concat([
    entryHeader({ path: 'manifest.json', type: 'file', mode: 0o644, size: 1 }),
    Buffer.from('{'),
    padding(1),
  ]);
  await expect(describeArchive(file('broken', broken))).rejects.toThrow('manifest.json in the archive is not JSON');
  const huge = entryHeader({ path: 'index.json', type: 'file', mode: 0o644, size: 5 << 20 });
  await expect(describeArchive(file('huge', huge))).rejects.toThrow('index.json in the archive is too large');
});
