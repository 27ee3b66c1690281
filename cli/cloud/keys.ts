import type { ConfigurationText } from '../../functions/apiserver/configuration.ts';
import { createSystemClock } from '../../functions/clock/system.ts';
import { followStoredConfiguration, storeConfiguration } from '../../functions/entry/cloud/configuration.ts';
import { openCloudEncryption } from '../../functions/entry/cloud/encryption.ts';
import { OTHERS_MS } from '../../functions/entry/cloud/key-operations.ts';
import { type Keys, loadKeys } from '../../functions/entry/cloud/keys.ts';
import { createDynamoStore } from '../../functions/store/dynamodb.ts';
import { resourcesOf } from '../../functions/store/encryption/encryption.ts';
import { clustersIn, createRewriting, readState } from '../../functions/store/encryption/rewrite.ts';
import { CommandError } from '../command.ts';
import { awsEnvironment, readDeployment } from './deployment.ts';

/** The table of a deployment and what lies encrypted in it, reached with the operator's own credentials. */
export const openDeployment = async (directory: string) => {
  const deployment = readDeployment(directory);
  Object.assign(process.env, awsEnvironment(deployment));
  const clock = createSystemClock();
  const inner = createDynamoStore({ table: deployment.table, clock, client: {} });
  const { current } = await followStoredConfiguration({ store: inner, clock, log: console.error });
  const configuration = current().encryption;
  const kmsKey = deployment.kmsKey ?? '';
  const opened = await openCloudEncryption({ inner, clock, kmsKey, configured: () => configuration });
  const resources = configuration || kmsKey ? resourcesOf(configuration) : [];
  return { inner, clock, resources, ...opened };
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

/** Sets a deployment up with texts in place of those before; rejects with ConfigurationError where they do not stand. */
export const writeConfiguration = async (directory: string, texts: readonly ConfigurationText[]): Promise<void> => {
  const { inner } = await openDeployment(directory);
  try {
    await storeConfiguration(inner, texts);
  } finally {
    await inner.close();
  }
};

/** Encrypts what lies in the table otherwise than it would be written now. Rejects with CommandError where not all could be. */
export const encryptAnew = async (directory: string): Promise<void> => {
  const { inner, store, encryption, clock, resources } = await openDeployment(directory);
  const rewriting = createRewriting({
    inner,
    store,
    encryption: () => encryption,
    clusters: () => clustersIn(inner),
    clock,
    log: console.log,
    resources: () => resources,
  });
  try {
    const state = await readState(inner);
    await encryption.ready();
    // Functions that are warm write as before until they have read the configuration again.
    if (state && state.writers !== encryption.writers) await clock.sleep(OTHERS_MS);
    if (!(await rewriting.check()))
      throw new CommandError(
        'what lies in the table is not all encrypted as it should be: try again with ./skiff deploy',
      );
  } finally {
    await rewriting.close();
    await inner.close();
  }
};
