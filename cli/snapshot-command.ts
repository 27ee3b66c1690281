import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { readSnapshot, writeSnapshot } from '../functions/backup/file.ts';
import { SnapshotRefused } from '../functions/backup/format.ts';
import { checkLines, restoreLines } from '../functions/backup/restore.ts';
import { saveLines } from '../functions/backup/save.ts';
import { createHttp2Fetch } from '../functions/client/http2-fetch.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import { createSqliteStore } from '../functions/store/sqlite.ts';
import type { Store } from '../functions/store/store.ts';
import { readAccess } from './access.ts';
import { openDeployedStore } from './cloud/keys.ts';
import { CommandError, dataDirectory, parse, UsageError } from './command.ts';
import { isRunning, readState } from './directory.ts';

interface Told {
  cluster: string;
  takenAt: string;
  domains: number;
  objects: number;
}
const summary = ({ cluster, takenAt, domains, objects }: Told): string =>
  `cluster ${cluster} as of ${takenAt}: ${objects} objects of ${domains} types`;

/** Where a cluster is: in a running server, a stopped one's files, or a deployment's table. */
interface Place {
  save(file: string, cluster: string): Promise<void>;
  restore(file: string, cluster: string): Promise<Told>;
}

const inStore = (
  open: () => Promise<Store> | Store,
  adopt: (store: Store, cluster: string) => Promise<void>,
): Place => {
  const within = async <T>(use: (store: Store) => Promise<T>): Promise<T> => {
    const store = await open();
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  };
  const clock = createSystemClock();
  return {
    save: (file, cluster) =>
      within(async (store) => {
        if ((await store.domains(cluster)).length === 0) throw new CommandError(`there is no cluster ${cluster}`);
        await writeSnapshot(file, saveLines({ store, clock, cluster }));
      }),
    restore: (file, cluster) =>
      within(async (store) => {
        // Until its object is there nothing acts on the cluster, which is not whole.
        const told = await restoreLines(() => readSnapshot(file), { store, cluster });
        await adopt(store, cluster);
        return told;
      }),
  };
};

const inServer = (directory: string): Place => {
  const { server, caCert, token } = readAccess(directory);
  const url = (cluster: string) => `${server}/skiff.dev/snapshots/${cluster}`;
  const call = async <T>(request: Request, use: (response: Response) => Promise<T>): Promise<T> => {
    const fetch2 = createHttp2Fetch({ ca: caCert, token });
    try {
      const response = await fetch2(request);
      if (response.ok) return await use(response);
      const { message } = (await response.json()) as { message?: string };
      throw new CommandError(message ?? `the server answers ${response.status}`);
    } finally {
      fetch2.close();
    }
  };
  return {
    save: (file, cluster) =>
      call(new Request(url(cluster)), async (response) => {
        const partial = `${file}.partial`;
        try {
          const body = Readable.fromWeb(response.body as NodeReadableStream);
          await pipeline(body, createWriteStream(partial, { mode: 0o600 }));
          await checkLines(readSnapshot(partial));
          await rename(partial, file);
        } finally {
          await rm(partial, { force: true });
        }
      }),
    restore: (file, cluster) => {
      const body = Readable.toWeb(createReadStream(file)) as ReadableStream;
      const request = new Request(url(cluster), { method: 'PUT', body, duplex: 'half' } as RequestInit);
      return call(request, (response) => response.json() as Promise<Told>);
    },
  };
};

const adoptDeployed = async (store: Store, cluster: string): Promise<void> => {
  const { createCloudPlane } = await import('../functions/entry/cloud/plane.ts');
  const plane = await createCloudPlane({ store, clock: createSystemClock(), log: console.error });
  await plane.fleet.adopt(cluster);
};

const placeOf = (directory: string): Place => {
  if (existsSync(join(directory, 'deployment.json'))) return inStore(() => openDeployedStore(directory), adoptDeployed);
  const state = readState(directory);
  if (!state) throw new CommandError(`no cluster in ${directory}: start one with ./skiff up`);
  if (isRunning(state)) return inServer(directory);
  const place = inStore(
    () => createSqliteStore({ path: join(directory, 'store') }),
    async () => {},
  );
  const refuse = () => Promise.reject(new CommandError(`start it first: ./skiff up --detach --data ${directory}`));
  return { ...place, restore: refuse };
};

/** `skiff snapshot save FILE [--cluster C] [--data DIR]`, `skiff snapshot restore FILE --cluster NEW [--data DIR]` */
export const run = async (args: string[]): Promise<number> => {
  const { values, positionals } = parse(args, { data: { type: 'string' }, cluster: { type: 'string' } }, 2);
  const [action, file] = positionals;
  if (!file || (action !== 'save' && action !== 'restore'))
    throw new UsageError('snapshot takes save FILE or restore FILE');
  const place = placeOf(dataDirectory(values.data));
  try {
    if (action === 'save') {
      await place.save(file, values.cluster ?? 'default');
      console.log(`${file}: ${summary(await checkLines(readSnapshot(file)))}`);
      return 0;
    }
    if (!values.cluster) throw new CommandError('restore needs --cluster, the id of the cluster to make');
    if (!existsSync(file)) throw new CommandError(`no file ${file}`);
    const told = await place.restore(file, values.cluster);
    console.log(`cluster ${values.cluster} made from ${summary(told)}`);
    return 0;
  } catch (error) {
    if (error instanceof SnapshotRefused) throw new CommandError(`${file}: ${error.message}`);
    throw error;
  }
};
