import { Worker } from 'node:worker_threads';
import type { FromWorker, LoadedPart, Request, ToWorker, WorkerSettings } from './sqlite-protocol.ts';

/** Another process (or another store of this one) has the data directory open. */
export class DirectoryInUse extends Error {
  override name = 'DirectoryInUse';
}
/** The data directory was written by a newer Skiff, or by something else. */
export class DirectoryRefused extends Error {
  override name = 'DirectoryRefused';
}

type Written = Extract<FromWorker, { type: 'written' | 'failed' }>;

/** The thread that owns the database, as the main thread sees it. */
export interface Link {
  /** Sends and does not wait; the buffers named are handed over. */
  post(message: ToWorker, transfer?: ArrayBuffer[]): void;
  load(domain: string, part: (part: LoadedPart) => void): Promise<void>;
  domains(cluster: string): Promise<string[]>;
  drop(cluster: string): Promise<void>;
  scrub(): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  resolve(names: string[]): void;
  reject(error: Error): void;
  part?: (part: LoadedPart) => void;
}

const refusal = (directory: string, { reason, message }: Extract<FromWorker, { type: 'refused' }>): Error => {
  if (reason === 'in-use') return new DirectoryInUse(`the data directory ${directory} is in use by another process`);
  if (reason === 'newer') {
    return new DirectoryRefused(`the data directory ${directory} was written by a newer version: ${message}`);
  }
  if (reason === 'foreign') return new DirectoryRefused(message);
  return new Error(`the data directory ${directory} cannot be opened: ${message}`);
};

/** Starts the thread; rejects with DirectoryInUse, DirectoryRefused or what else kept it from opening the file. */
export const openLink = (
  directory: string,
  settings: WorkerSettings,
  on: { written(message: Written): void; died(error: Error): void },
): Promise<Link> => {
  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
    workerData: settings,
    execArgv: ['--disable-warning=ExperimentalWarning'],
    name: 'store',
  });
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let dead: Error | undefined;
  let closing = false;

  const die = (error: Error): void => {
    if (dead) return;
    dead = error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    on.died(error);
  };
  const ask = (request: (id: number) => Request, part?: (part: LoadedPart) => void): Promise<string[]> => {
    if (dead) return Promise.reject(dead);
    const id = nextId++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject, ...(part ? { part } : {}) });
      worker.postMessage(request(id));
    });
  };
  const receive = (message: Extract<FromWorker, { id: number }>): void => {
    const caller = waiting.get(message.id);
    if (message.type === 'loaded') {
      caller?.part?.(message);
      if (!message.last) return;
    }
    waiting.delete(message.id);
    if (message.type === 'error') caller?.reject(new Error(`store: ${message.message}`));
    else caller?.resolve(message.type === 'domains' ? message.names : []);
  };

  const link: Link = {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    load: async (domain, part) => {
      await ask((id) => ({ type: 'load', id, domain }), part);
    },
    domains: (cluster) => ask((id) => ({ type: 'domains', id, cluster })),
    drop: async (cluster) => {
      await ask((id) => ({ type: 'drop', id, cluster }));
    },
    scrub: async () => {
      await ask((id) => ({ type: 'scrub', id }));
    },
    close: async () => {
      const closed = ask((id) => ({ type: 'close', id }));
      closing = true;
      await closed;
      die(new Error('the store is closed'));
      await worker.terminate();
    },
  };
  return new Promise((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'written' || message.type === 'failed') on.written(message);
      else if (message.type === 'opened') resolve(link);
      else if (message.type === 'refused') reject(refusal(directory, message));
      else receive(message);
    });
    worker.on('error', (error) => {
      const failure = error instanceof Error ? error : new Error(String(error));
      reject(failure);
      die(failure);
    });
    worker.on('exit', () => {
      // The answer to close and the thread's end can come in one turn, before close() goes on.
      const failure = new Error(closing ? 'the store is closed' : 'the thread of the store has ended');
      reject(failure);
      die(failure);
    });
  });
};
