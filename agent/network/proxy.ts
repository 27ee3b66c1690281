import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import type { EndpointSlice, Service } from '../../functions/machinery/kinds.d.ts';
import { baseScript, goneTargets, updateScript } from './nft.ts';

import { rulesOf, type ServiceRule, slicesByService } from './services.ts';

const execute = promisify(execFile);

/** Feeds a script to nft; the whole of it holds or none. Throws what nft said. */
export const runNft = (script: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn('nft', ['-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`nft: ${errors.trim()}`))));
    child.stdin.on('error', () => {});
    child.stdin.end(script);
  });

const forget = async (ip: string): Promise<void> => {
  await execute('conntrack', ['-D', '-p', 'udp', '--dst-nat', ip]).catch(() => {});
};

export interface ServiceProxy {
  /** The services and slices of the whole cluster, as the agent's informers have them. Coalesced; resolves when applied. */
  update(services: Iterable<Service>, slices: Iterable<EndpointSlice>): Promise<void>;
}

/**
 * The service proxy of one node, run inside its network namespace. A script that nft refuses makes the next one start
 * from an empty table, so that a rule of ours that was wrong, or a hand that changed the table, does not stay.
 */
export const createServiceProxy = (options: {
  node: string;
  podCidr: string;
  own: ReadonlySet<string>;
}): ServiceProxy => {
  let applied: ServiceRule[] | undefined;
  let wanted: ServiceRule[] = [];
  let working: Promise<void> | undefined;

  const apply = async (): Promise<void> => {
    const next = wanted;
    if (!applied) {
      await runNft(baseScript(options.podCidr));
      applied = [];
    }
    const script = updateScript(applied, next);
    if (script === '') return;
    const gone = goneTargets(applied, next);
    try {
      await runNft(script);
      applied = next;
    } catch (error) {
      applied = undefined;
      throw error;
    }
    for (const target of gone) await forget(target.ip);
  };

  const work = async (): Promise<void> => {
    let last: ServiceRule[] | undefined;
    while (last !== wanted) {
      last = wanted;
      await apply();
    }
  };

  return {
    update: (services, slices) => {
      wanted = rulesOf(services, slicesByService(slices), options.node, options.own);
      working ??= work().finally(() => {
        working = undefined;
      });
      return working;
    },
  };
};
