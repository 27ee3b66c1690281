import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { CommandError } from '../command.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Runs the CDK with this project's app; each resource that comes or goes is a line. Throws with its last lines. */
export const cdk = (
  args: string[],
  environment: Record<string, string>,
  onLine: (line: string) => void,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(ROOT, 'node_modules/aws-cdk/bin/cdk'), ...args], {
      cwd: ROOT,
      env: { ...process.env, ...environment, PATH: `${join(process.execPath, '..')}:${process.env.PATH}`, CI: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const last: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          last.push(line);
          if (last.length > 20) last.shift();
          onLine(line);
        }
      });
    }
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new CommandError(`cdk ${args[0]} ended with ${code}:\n${last.join('\n')}`));
    });
  });
