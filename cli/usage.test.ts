import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, UsageError } from './command.ts';
import { USAGES } from './usage.ts';

const skiff = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], { encoding: 'utf8' });

describe('what a command takes', () => {
  it('is told by --help for every command that the usage lists', () => {
    const listed = [...skiff('help').stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    expect(listed.toSorted()).toEqual(Object.keys(USAGES).toSorted());
  });

  it('says every kind of document that --config reads', () => {
    const source = readFileSync(join(import.meta.dirname, '../functions/apiserver/configuration.ts'), 'utf8');
    const kinds = [...source.matchAll(/^ {2}'[a-z0-9.]+\/([A-Za-z]+)': async/gm)].map(([, kind]) => kind ?? '');
    expect(kinds.length).toBeGreaterThan(7);
    for (const kind of kinds) expect(USAGES.up).toContain(kind);
  });

  it('is told wherever --help stands, and nothing else happens', () => {
    const { stdout, status } = skiff('image', 'build', '--help');
    expect(status).toBe(0);
    expect(stdout).toContain('image.yaml');
  });

  it('is pointed at after an unknown option, without what Node says about dashes', () => {
    const { stderr, status } = skiff('snapshot', 'save', '--frob');
    expect(status).toBe(1);
    expect(stderr).toBe("skiff: Unknown option '--frob'\nsee ./skiff snapshot --help\n");
    expect(() => parse(['extra'], {})).toThrow(UsageError);
  });
});
