// The demo, as a user runs it, with real containers. Needs root, containerd and what else cli/setup.ts installs.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { directoryId } from '../../functions/entry/pki.ts';
import { freePort } from '../free-port.ts';
import { argumentsWith, containersMissing, describeWith, processesWith } from './needs.ts';

const DEMO_MS_MAX = 5 * 60_000;
const main = join(import.meta.dirname, '../../cli/main.ts');

/** Runs the demo to its end; past the limit it is interrupted, which takes it down. */
/** Arguments of processes that name the data directory, as anybody on the machine may read them. */
const seen = new Set<string>();

const runDemo = (data: string, port: number): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve, reject) => {
    const args = [main, 'demo', '--yes', '--data', data, '--port', String(port)];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const timer = setTimeout(() => child.kill('SIGINT'), DEMO_MS_MAX);
    const looking = setInterval(() => {
      for (const text of argumentsWith(data)) seen.add(text);
    }, 500);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      clearInterval(looking);
      resolve({ code, output });
    });
  });

const namesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

describeWith(containersMissing(), 'demo', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'skiff-demo-test-'));
  const data = join(scratch, 'data');
  const mark = `skiff-${directoryId(data)}`;
  let ended: { code: number | null; output: string } = { code: null, output: '' };

  beforeAll(async () => {
    ended = await runDemo(data, await freePort());
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  it('runs a real application, sees every step work and says so in its last line', () => {
    expect(ended.output.trim().split('\n').at(-1)).toMatch(/^demo: ok \(\d+ steps, [\d.]+ s\)$/);
    expect(ended.code).toBe(0);
  });

  it('shows no token in the arguments of its processes', () => {
    const all = [...seen];
    expect(all.some((text) => text.includes('node-process.ts'))).toBe(true);
    // A JSON Web Token begins so, in base64url.
    expect(all.filter((text) => text.includes('eyJ'))).toEqual([]);
  });

  it('leaves nothing behind: no process, mount, network namespace, cgroup or file', () => {
    expect(processesWith(data)).toEqual([]);
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    expect(mounts.filter((line) => line.includes(` ${data}/`))).toEqual([]);
    expect(namesIn('/run/netns').filter((name) => name.startsWith(mark))).toEqual([]);
    const hierarchies = ['', ...namesIn('/sys/fs/cgroup')].map((name) => join('/sys/fs/cgroup', name, mark));
    expect(hierarchies.filter((folder) => existsSync(folder))).toEqual([]);
    expect(existsSync(data)).toBe(false);
  });
});
