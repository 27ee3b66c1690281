import { spawnSync } from 'node:child_process';
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
