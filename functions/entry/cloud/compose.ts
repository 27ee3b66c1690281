import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { SQSClient } from '@aws-sdk/client-sqs';
import { createSystemClock } from '../../clock/system.ts';
import { mergedTimers } from '../../queue/merged-timers.ts';
import type { Queue } from '../../queue/queue.ts';
import { createSqsQueue } from '../../queue/sqs.ts';
import { SCHEDULER } from '../../scheduler/consumer.ts';
import { createDynamoStore, createPartsReader } from '../../store/dynamodb.ts';
import { type Bells, createBells } from './bells.ts';
import { kept } from './kept.ts';
import { type CloudPlane, createCloudPlane } from './plane.ts';
import { readSettings } from './settings.ts';
import { openTable } from './table.ts';
import { createTimerRecords } from './timer-records.ts';

/** A line per event: what the platform's log shows, and what wakes it up to show it. */
export const log = (line: string): void => console.log(line);

const settings = readSettings();
const clock = createSystemClock();

/** This function's table, what the operator has set it up with, and what lies encrypted in it; made once. */
export const openOwnTable = kept(() => {
  const { SKIFF_TABLE: table, SKIFF_RETENTION_MS: retentionMs, SKIFF_KMS_KEY: kmsKey } = settings;
  return openTable({ inner: createDynamoStore({ table, clock, retentionMs, client: {} }), clock, kmsKey, log });
});

export const openParts = () => createPartsReader({ table: settings.SKIFF_TABLE, clock, client: {} });

/** The plane of this function, made once and kept while it is warm; a failure is not kept. */
export const openPlane = (watchMsMax?: number): (() => Promise<CloudPlane>) =>
  kept(async () =>
    createCloudPlane({ ...(await openOwnTable()), clock, log, ...(watchMsMax !== undefined && { watchMsMax }) }),
  );

export const openQueue = (): Queue =>
  createSqsQueue({
    client: new SQSClient({}),
    clock,
    urls: { '': settings.SKIFF_WORK_QUEUE, [SCHEDULER]: settings.SKIFF_SCHEDULER_QUEUE },
    timers: settings.SKIFF_TIMERS_QUEUE,
  });

/** The queues as a worker sends to them: of the timers of one key the earliest counts. */
export const openMergedQueue = (): Pick<Queue, 'send'> =>
  mergedTimers(openQueue(), createTimerRecords(new DynamoDBClient({}), settings.SKIFF_TABLE), clock);

/** The bells of nodes, where the deployment has them: their queues stand beside that of the controllers. */
export const openBells = (): Bells | undefined => {
  if (!settings.SKIFF_BELLS) return undefined;
  const beside = settings.SKIFF_WORK_QUEUE.slice(0, settings.SKIFF_WORK_QUEUE.lastIndexOf('/') + 1);
  return createBells({ client: new SQSClient({}), base: `${beside}${settings.SKIFF_BELLS}` });
};

export { clock, settings };
