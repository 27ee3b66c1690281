// The gateway as a service: reads its settings from the environment, serves until it is told to end.
import { once } from 'node:events';
import * as z from 'zod';
import { clock, log, openOwnTable } from './compose.ts';
import { startGateway } from './gateway.ts';

const { SKIFF_GATEWAY_PORT: port, SKIFF_GATEWAY_NAMES: names } = z
  .object({
    SKIFF_GATEWAY_PORT: z.coerce.number().int().min(0).max(65_535).default(443),
    /** Names and addresses by which it is reached, with commas between them. */
    SKIFF_GATEWAY_NAMES: z.string().default(''),
  })
  .parse(process.env);

const gateway = await startGateway({
  ...(await openOwnTable()),
  clock,
  host: '::',
  port,
  names: names.split(',').filter(Boolean),
  log,
});
log(`gateway on port ${gateway.port}`);
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
await gateway.close();
process.exit(0);
