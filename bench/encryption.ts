// What encryption at rest costs: creates and reads of Secrets through an embedded control plane, plain and encrypted.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Client } from '../functions/client/client.ts';
import { startControlPlane } from '../functions/entry/local.ts';
import type { KubeObject } from '../functions/machinery/object.ts';

const SECRETS = { group: '', version: 'v1', resource: 'secrets' };
const SECRET_BYTES = 1024;
const ROUNDS = 3;

const PLAIN = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources: [{ resources: [secrets], providers: [{ identity: {} }] }]
`;

export interface EncryptionFigures {
  /** Secrets created per second, 64 at once. */
  plain: number;
  encrypted: number;
  /** Encrypted to plain. */
  ratio: number;
}

const secretOf = (name: string): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'default' },
    data: { value: Buffer.alloc(SECRET_BYTES, name).toString('base64') },
  }) as KubeObject;

const createsPerSecond = async (client: Client, prefix: string, count: number, atOnce: number): Promise<number> => {
  const began = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await client.create(SECRETS, secretOf(`${prefix}-${i}`));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return (count / (performance.now() - began)) * 1000;
};

const measured = async (configuration: string | undefined, count: number): Promise<number> => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-bench-'));
  const path = join(directory, 'encryption.yaml');
  if (configuration) writeFileSync(path, configuration);
  const plane = await startControlPlane({
    directory: join(directory, 'data'),
    host: '127.0.0.1',
    port: 0,
    log: console.error,
    ...(configuration && { configuration: [path] }),
  });
  try {
    const client = plane.client('default');
    await createsPerSecond(client, 'warm', 300, 64);
    return await createsPerSecond(client, 'measured', count, 64);
  } finally {
    await plane.close();
    rmSync(directory, { recursive: true, force: true });
  }
};

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** The median of some rounds, in turns. */
export const encryptionFigures = async (count = 3000): Promise<EncryptionFigures> => {
  const rounds = { plain: [] as number[], encrypted: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    rounds.plain.push(await measured(PLAIN, count));
    rounds.encrypted.push(await measured(undefined, count));
  }
  const [plain, encrypted] = [median(rounds.plain), median(rounds.encrypted)];
  return { plain: Math.round(plain), encrypted: Math.round(encrypted), ratio: encrypted / plain };
};

if (import.meta.main) console.log(await encryptionFigures());
