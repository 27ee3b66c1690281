import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { readSealed, readSnapshot, writeSealed, writeSnapshot } from '../functions/backup/file.ts';
import { SnapshotRefused } from '../functions/backup/format.ts';
import { checkLines, restoreLines } from '../functions/backup/restore.ts';
import { saveLines } from '../functions/backup/save.ts';
import { newSnapshotKey, parseSnapshotKey, type SnapshotKey } from '../functions/backup/sealed.ts';
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
  save(file: string, cluster: string, key: SnapshotKey | undefined): Promise<void>;
  restore(file: string, cluster: string, key: SnapshotKey | undefined): Promise<Told>;
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
    save: (file, cluster, key) =>
      within(async (store) => {
        if ((await store.domains(cluster)).length === 0) throw new CommandError(`there is no cluster ${cluster}`);
        await writeSnapshot(file, saveLines({ store, clock, cluster }), key);
      }),
    restore: (file, cluster, key) =>
      within(async (store) => {
        // Until its object is there nothing acts on the cluster, which is not whole.
        const told = await restoreLines(() => readSnapshot(file, key), { store, cluster });
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
    save: (file, cluster, key) =>
      call(new Request(url(cluster)), async (response) => {
        const partial = `${file}.partial`;
        try {
          const body = Readable.fromWeb(response.body as NodeReadableStream);
          await writeSealed(partial, body, key);
          await checkLines(readSnapshot(partial, key));
          await rename(partial, file);
        } finally {
          await rm(partial, { force: true });
        }
      }),
    restore: async (file, cluster, key) => {
      // The server cannot tell whose key was meant: what is sent is whole, and decrypted here.
      await checkLines(readSnapshot(file, key));
      const body = Readable.toWeb(readSealed(file, key)) as ReadableStream;
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

/** The store of a directory whose server does not run. */
const openStopped = async (directory: string): Promise<Store> => {
  const inner = await createSqliteStore({ path: join(directory, 'store') });
  const { createLocalEncryption } = await import('../functions/entry/local-encryption.ts');
  const nothing = () => undefined;
  const options = { directory, inner, clock: createSystemClock(), configured: nothing, log: console.error };
  return (await createLocalEncryption(options)).store;
};

const placeOf = (directory: string): Place => {
  if (existsSync(join(directory, 'deployment.json'))) return inStore(() => openDeployedStore(directory), adoptDeployed);
  const state = readState(directory);
  if (!state) throw new CommandError(`no cluster in ${directory}: start one with ./skiff up`);
  if (isRunning(state)) return inServer(directory);
  const place = inStore(
    () => openStopped(directory),
    async () => {},
  );
  const refuse = () => Promise.reject(new CommandError(`start it first: ./skiff up --detach --data ${directory}`));
  return { ...place, restore: refuse };
};

/** The key that is named, or that of the data directory, which `make` makes where it is missing. */
const keyOf = (directory: string, named: string | undefined, make: boolean): SnapshotKey | undefined => {
  const path = named ?? join(directory, 'snapshot-key');
  if (existsSync(path)) return parseSnapshotKey(readFileSync(path, 'utf8'));
  if (named !== undefined) throw new CommandError(`no file ${named}`);
  if (!make) return undefined;
  const key = newSnapshotKey();
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(path, `${Buffer.from(key).toString('base64')}\n`, { mode: 0o600, flush: true });
  console.log(`made ${path}: the snapshots of this directory open with it alone, so keep a copy elsewhere`);
  return key;
};

const options = {
  data: { type: 'string' },
  cluster: { type: 'string' },
  key: { type: 'string' },
  plain: { type: 'boolean' },
} as const;

/** `skiff snapshot save FILE [--cluster C] [--key FILE|--plain] [--data DIR]`, `... restore FILE --cluster NEW [--key FILE]` */
export const run = async (args: string[]): Promise<number> => {
  const { values, positionals } = parse(args, options, 2);
  const [action, file] = positionals;
  if (!file || (action !== 'save' && action !== 'restore'))
    throw new UsageError('snapshot takes save FILE or restore FILE');
  if (values.plain && (values.key !== undefined || action === 'restore'))
    throw new UsageError('--plain goes with save alone, and without --key');
  const directory = dataDirectory(values.data);
  const place = placeOf(directory);
  try {
    if (action === 'save') {
      const key = values.plain ? undefined : keyOf(directory, values.key, true);
      await place.save(file, values.cluster ?? 'default', key);
      console.log(`${file}: ${summary(await checkLines(readSnapshot(file, key)))}`);
      return 0;
    }
    if (!values.cluster) throw new CommandError('restore needs --cluster, the id of the cluster to make');
    if (!existsSync(file)) throw new CommandError(`no file ${file}`);
    const told = await place.restore(file, values.cluster, keyOf(directory, values.key, false));
    console.log(`cluster ${values.cluster} made from ${summary(told)}`);
    return 0;
  } catch (error) {
    if (error instanceof SnapshotRefused) {
      const hint = error.message.startsWith('it is encrypted') ? ': name its file with --key' : '';
      throw new CommandError(`${file}: ${error.message}${hint}`);
    }
    throw error;
  }
};
