import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe } from 'vitest';
import { createSystemClock } from '../../functions/clock/system.ts';
import { createDynamoStore, ensureTable } from '../../functions/store/dynamodb.ts';
import { type MiniStack, startMiniStack } from '../cloud/ministack.ts';
import { storeContract } from './store.ts';

describe('dynamodb of MiniStack', () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-ministack-'));
  let stack: MiniStack;
  let tables = 0;
  beforeAll(async () => {
    stack = await startMiniStack(directory);
  }, 180_000);
  afterAll(async () => {
    await stack.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  storeContract(
    'dynamodb of MiniStack',
    () => {
      const table = `contract-${tables++}`;
      const config: DynamoDBClientConfig = {
        endpoint: stack.endpoint,
        region: 'us-east-1',
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      };
      return {
        open: async () => {
          await ensureTable(config, table);
          return createDynamoStore({ client: config, table, clock: createSystemClock(), fenceMs: 100 });
        },
        remove: async () => undefined,
      };
    },
    {
      feed: 'committed changes come by the stream of the table, not in process',
      dense: 'a ticket whose write failed is voided, so revisions have gaps',
    },
  );
});
