import { createSystemClock } from '../../functions/clock/system.ts';
import { type Keys, loadKeys } from '../../functions/entry/cloud/keys.ts';
import { createDynamoStore } from '../../functions/store/dynamodb.ts';
import { awsEnvironment, readDeployment } from './deployment.ts';

/** The store of a deployment, reached with the operator's own credentials. */
export const openDeployedStore = (directory: string) => {
  const deployment = readDeployment(directory);
  Object.assign(process.env, awsEnvironment(deployment));
  return createDynamoStore({ table: deployment.table, clock: createSystemClock(), client: {} });
};

/** The secrets of a deployment, read from its table. */
export const readKeys = async (directory: string): Promise<Keys> => {
  const store = openDeployedStore(directory);
  try {
    return await loadKeys(store);
  } finally {
    await store.close();
  }
};
