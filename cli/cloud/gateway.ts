import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSystemClock } from '../../functions/clock/system.ts';
import { startGateway } from '../../functions/entry/cloud/gateway.ts';
import { openTable, type Table } from '../../functions/entry/cloud/table.ts';
import { createDynamoStore } from '../../functions/store/dynamodb.ts';
import { CommandError, dataDirectory, parse, wholeNumber } from '../command.ts';
import { awsEnvironment, readDeployment } from './deployment.ts';

const options = {
  data: { type: 'string' },
  port: { type: 'string' },
  host: { type: 'string' },
  name: { type: 'string', multiple: true },
  cert: { type: 'string' },
  key: { type: 'string' },
} as const;

/** The table that the environment names, as the functions read it; else that of the data directory. */
const tableOf = (directory: string): { table: string; kmsKey: string } => {
  const { SKIFF_TABLE: table, SKIFF_KMS_KEY: kmsKey = '' } = process.env;
  if (!existsSync(join(directory, 'deployment.json')) && table) return { table, kmsKey };
  const deployment = readDeployment(directory);
  Object.assign(process.env, awsEnvironment(deployment));
  return { table: deployment.table, kmsKey: deployment.kmsKey ?? '' };
};

/** With what the operator has set the deployment up with: a gateway lets in whom the functions let in, and nobody else. */
const opened = (directory: string): Promise<Table> => {
  const { table, kmsKey } = tableOf(directory);
  const clock = createSystemClock();
  return openTable({ inner: createDynamoStore({ table, clock, client: {} }), clock, kmsKey, log: console.error });
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
    ...(await opened(directory)),
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
