import { createSystemClock } from '../../functions/clock/system.ts';
import { openCloudEncryption } from '../../functions/entry/cloud/encryption.ts';
import { type Keys, loadKeys } from '../../functions/entry/cloud/keys.ts';
import { createDynamoStore } from '../../functions/store/dynamodb.ts';
import { awsEnvironment, readDeployment } from './deployment.ts';

/** The table of a deployment and what lies encrypted in it, reached with the operator's own credentials. */
export const openDeployment = async (directory: string) => {
  const deployment = readDeployment(directory);
  Object.assign(process.env, awsEnvironment(deployment));
  const clock = createSystemClock();
  const inner = createDynamoStore({ table: deployment.table, clock, client: {} });
  return { inner, clock, ...(await openCloudEncryption({ inner, clock, kmsKey: deployment.kmsKey ?? '' })) };
};
/** The store of a deployment, with its secrets opened. */
export const openDeployedStore = async (directory: string) => (await openDeployment(directory)).store;

/** The secrets of a deployment, read from its table. */
export const readKeys = async (directory: string): Promise<Keys> => {
  const store = await openDeployedStore(directory);
  try {
    return await loadKeys(store);
  } finally {
    await store.close();
  }
};
