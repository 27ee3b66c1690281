import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildImage, fullReference } from './build.ts';
import { binaryWithLibraries } from './libraries.ts';
import { pauseImage } from './pause.ts';

const folder = mkdtempSync(join(tmpdir(), 'skiff-image-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const unpack = (archive: string, into: string): void => {
  mkdirSync(into, { recursive: true });
  execFileSync('tar', ['-xf', archive, '-C', into]);
};

describe('buildImage', () => {
  it('writes a layout that tar reads, with files, folders, links and long names', async () => {
    const source = join(folder, 'source');
    mkdirSync(join(source, 'deep'), { recursive: true });
    const longName = 'n'.repeat(150);
    writeFileSync(join(source, 'deep', longName), 'long');
    writeFileSync(join(source, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
    symlinkSync('run.sh', join(source, 'link'));
    const archive = join(folder, 'a.tar');
    const spec = {
      name: 'example/app:1',
      files: [
        { path: '/app', source },
        { path: '/etc/x', source: Buffer.from('x') },
      ],
      env: { A: 'b' },
    };
    const first = await buildImage(spec, archive);
    const bytes = readFileSync(archive);
    const again = await buildImage(spec, archive);
    expect(again).toEqual(first);
    expect(readFileSync(archive).equals(bytes)).toBe(true);
    unpack(archive, join(folder, 'layout'));
    const [docker] = JSON.parse(readFileSync(join(folder, 'layout/manifest.json'), 'utf8'));
    expect(docker.RepoTags).toEqual(['docker.io/example/app:1']);
    const config = JSON.parse(readFileSync(join(folder, 'layout', docker.Config), 'utf8'));
    expect(config.config.Env).toContain('A=b');
    unpack(join(folder, 'layout', docker.Layers[0]), join(folder, 'root'));
    expect(readFileSync(join(folder, 'root/app/deep', longName), 'utf8')).toBe('long');
    expect(readFileSync(join(folder, 'root/app/link'), 'utf8')).toBe('#!/bin/sh\n');
    expect(readFileSync(join(folder, 'root/etc/x'), 'utf8')).toBe('x');
  });

  it('makes a pause program that waits', async () => {
    const file = pauseImage().files[0];
    const path = join(folder, 'pause');
    writeFileSync(path, file?.source as Buffer, { mode: 0o755 });
    expect(() => execFileSync(path, { timeout: 300 })).toThrow(/ETIMEDOUT/);
  });

  it('finds the libraries of a program', () => {
    const files = binaryWithLibraries('/bin/ls', '/bin/ls').map((f) => f.path);
    expect(files[0]).toBe('/bin/ls');
    expect(files.some((f) => /libc\.so/.test(f))).toBe(true);
  });

  it.each([
    ['x', 'docker.io/library/x:latest'],
    ['a/b:1', 'docker.io/a/b:1'],
    ['skiff.local/pause:1', 'skiff.local/pause:1'],
    ['localhost:5000/a', 'localhost:5000/a:latest'],
  ])('%s is %s', (name, full) => expect(fullReference(name)).toBe(full));
});
