import { PassThrough, Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { type Bench, SERVE, type Skips, textOf, until, WAIT_MS } from './runtime-bench.ts';

/** Commands in containers, attaching, connections into pods. */
export const streamCases = (bench: () => Bench, skips: Skips): void => {
  it('runs a command to its end', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), SERVE);
    const done = await runtime.execSync(id, ['sh', '-c', 'echo out; echo error >&2; exit 5'], 10_000);
    expect(done).toMatchObject({ exitCode: 5, timedOut: false });
    expect(Buffer.from(done.stdout).toString()).toBe('out\n');
    expect(Buffer.from(done.stderr).toString()).toBe('error\n');
  });

  it('ends a command that takes too long', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), SERVE);
    const began = Date.now();
    expect(await runtime.execSync(id, ['sleep', '60'], 1_000)).toMatchObject({ timedOut: true });
    expect(Date.now() - began).toBeLessThan(6_000);
    await until(async () => {
      const { stdout } = await runtime.execSync(id, ['ps'], 5_000);
      return !Buffer.from(stdout).toString().includes('sleep 60');
    });
  });

  it('streams a command: both outputs, input to its end, exit code', async () => {
    const { sandbox, start, exec } = bench();
    const { id } = await start(await sandbox(), SERVE);
    expect(await exec(id, ['sh', '-c', 'echo out; echo error >&2; exit 6'])).toEqual({
      exitCode: 6,
      stdout: 'out\n',
      stderr: 'error\n',
    });
    const long = `${'0123456789'.repeat(20_000)}\n`;
    expect(await exec(id, ['cat'], long)).toEqual({ exitCode: 0, stdout: long, stderr: '' });
  });

  it.skipIf(skips.terminal)('streams a command on a terminal', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), SERVE);
    const stdin = new PassThrough();
    const stdout = new PassThrough();
    const text = textOf(stdout);
    const sizes = async function* () {
      yield { width: 91, height: 37 };
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      yield { width: 92, height: 38 };
    };
    const running = runtime.stream(
      id,
      { exec: ['sh'], tty: true },
      { stdin, stdout, resize: sizes() },
      AbortSignal.timeout(WAIT_MS),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    stdin.write('tty; stty size; exit 4\n');
    expect(await running).toEqual({ exitCode: 4 });
    expect(text()).toContain('/dev/pts/');
    expect(text()).toContain('38 92');
  });

  it('attaches to what a container writes', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), 'sleep 1.5; echo late; sleep 0.5; exit 0');
    const stdout = new PassThrough();
    const text = textOf(stdout);
    await runtime.stream(id, { attach: true, tty: false }, { stdout }, AbortSignal.timeout(WAIT_MS));
    expect(text()).toBe('late\n');
  });

  it.skipIf(skips.attachStdin)('attaches to the input of a container', async () => {
    const { runtime, sandbox, start } = bench();
    const { id } = await start(await sandbox(), 'read line; echo "got $line"', { stdin: true, stdinOnce: true });
    const stdout = new PassThrough();
    const text = textOf(stdout);
    const stdin = Readable.from([Buffer.from('word\n')]);
    await runtime.stream(id, { attach: true, tty: false }, { stdin, stdout }, AbortSignal.timeout(WAIT_MS));
    expect(text()).toBe('got word\n');
  });

  it('forwards a connection to a port that only the pod can reach', async () => {
    const { runtime, sandbox, start } = bench();
    const pod = await sandbox();
    const { id } = await start(pod, 'exec httpd -f -p 127.0.0.1:8081');
    await until(
      async () => (await runtime.execSync(id, ['sh', '-c', 'netstat -ltn | grep 8081'], 5_000)).exitCode === 0,
    );
    const connection = await runtime.portForward(pod.id, 8081, AbortSignal.timeout(WAIT_MS));
    const heard = new Promise<string>((resolve, reject) => {
      connection.once('data', (chunk: Buffer) => resolve(chunk.toString()));
      connection.once('error', reject);
    });
    connection.write('GET /nosuch HTTP/1.0\r\n\r\n');
    expect(await heard).toMatch(/^HTTP\/1\.\d 404/);
    connection.end();
  });
};
