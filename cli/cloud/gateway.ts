import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSystemClock } from '../../functions/clock/system.ts';
import { openCloudEncryption } from '../../functions/entry/cloud/encryption.ts';
import { startGateway } from '../../functions/entry/cloud/gateway.ts';
import { createDynamoStore } from '../../functions/store/dynamodb.ts';
import { CommandError, dataDirectory, parse, wholeNumber } from '../command.ts';
import { openDeployedStore } from './keys.ts';

const options = {
  data: { type: 'string' },
  port: { type: 'string' },
  host: { type: 'string' },
  name: { type: 'string', multiple: true },
  cert: { type: 'string' },
  key: { type: 'string' },
} as const;

/** The table that the environment names, as the functions read it; else that of the data directory. */
const openStore = async (directory: string) => {
  const table = process.env.SKIFF_TABLE;
  if (existsSync(join(directory, 'deployment.json')) || !table) return openDeployedStore(directory);
  const clock = createSystemClock();
  const inner = createDynamoStore({ table, clock, client: {} });
  return (await openCloudEncryption({ inner, clock, kmsKey: process.env.SKIFF_KMS_KEY ?? '' })).store;
};

/**
 * `skiff gateway [--data DIR] [--host H] [--port N] [--name NAME]... [--cert FILE --key FILE]`, until interrupted. Writes
 * the authority that vouches for it to `gateway-ca.crt` in the data directory.
 */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, options);
  const directory = dataDirectory(values.data);
  if ((values.cert === undefined) !== (values.key === undefined))
    throw new CommandError('--cert and --key go together');
  const certificate =
    values.cert && values.key
      ? { cert: readFileSync(values.cert, 'utf8'), key: readFileSync(values.key, 'utf8') }
      : undefined;
  const gateway = await startGateway({
    store: await openStore(directory),
    clock: createSystemClock(),
    host: values.host ?? '127.0.0.1',
    port: wholeNumber('port', values.port, 8443, 0, 65_535),
    names: values.name ?? [],
    ...(certificate && { certificate }),
    log: console.error,
  });
  if (existsSync(directory)) writeFileSync(join(directory, 'gateway-ca.crt'), gateway.caCert);
  console.log(`gateway on https://${values.host ?? '127.0.0.1'}:${gateway.port}`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await gateway.close();
  return 0;
};
