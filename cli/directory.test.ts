import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processStart } from '../agent/process-start.ts';
import { CommandError } from './command.ts';
import { isRunning, readState, writeState } from './directory.ts';

describe('data directory', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'skiff-directory-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('finds what was written, by a process that still runs', () => {
    expect(readState(directory)).toBeUndefined();
    writeState(directory, { port: 1, nodes: 2, runtime: 'hollow' });
    const state = readState(directory);
    expect(state).toMatchObject({ port: 1, nodes: 2, runtime: 'hollow', pid: process.pid });
    expect(isRunning(state)).toBe(true);
    if (state) expect(isRunning({ ...state, startedAt: '1' })).toBe(false);
  });

  it('refuses a newer layout in one line', () => {
    writeFileSync(join(directory, 'skiff.json'), JSON.stringify({ layout: 99 }));
    expect(() => readState(directory)).toThrow(CommandError);
    expect(() => readState(directory)).toThrow(/newer version of skiff \(layout 99/);
  });

  it.each(['null', '{"layout": 1}', '{"layout":1,"port":1,"nodes":1,"runtime":"vm","pid":1,"startedAt":"1"}'])(
    'refuses %s in one line',
    (text) => {
      writeFileSync(join(directory, 'skiff.json'), text);
      expect(() => readState(directory)).toThrow(CommandError);
    },
  );

  it('takes a killed process for ended, even when its parent never asks for it', async () => {
    // The shell becomes a sleep that never waits for its child, which stays a zombie.
    const parent = spawn('sh', ['-c', 'sleep 30 & echo $!; exec sleep 30'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = await once(parent.stdout, 'data');
    const pid = Number(String(line));
    expect(processStart(pid)).toMatch(/^\d+$/);
    await new Promise((resolve) => setTimeout(resolve, 100));
    process.kill(pid, 'SIGKILL');
    const end = Date.now() + 2000;
    while (processStart(pid) !== undefined && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(processStart(pid)).toBeUndefined();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  });
});
