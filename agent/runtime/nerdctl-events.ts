import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cli } from './nerdctl-cli.ts';
import { eventOf } from './nerdctl-read.ts';
import type { RuntimeEvent } from './runtime.ts';

/** What `nerdctl events` tells, to any number of readers; started by the first need, started again when it ends. */
export const createFollower = (cli: Cli, sandboxOfContainer: ReadonlyMap<string, string>) => {
  const readers = new Set<(event: RuntimeEvent) => void>();
  const oom = new Set<string>();
  const closing = new AbortController();
  let running = false;
  const note = (containerId: string): string => join(cli.notes, `oom-${containerId}`);
  const tell = async (line: string): Promise<void> => {
    const event = eventOf(line);
    if (!event) return;
    if (event.type === 'oom') {
      oom.add(event.containerId);
      await mkdir(cli.notes, { recursive: true });
      await writeFile(note(event.containerId), '');
    }
    const sandboxId = sandboxOfContainer.get(event.containerId) ?? '';
    for (const reader of readers) reader({ ...event, sandboxId });
  };
  const follow = async (): Promise<void> => {
    const child = cli.spawn(['events', '--format', '{{json .}}']);
    const end = () => child.kill('SIGKILL');
    closing.signal.addEventListener('abort', end, { once: true });
    child.stdin?.end();
    child.stderr?.resume();
    child.on('error', () => {});
    if (child.stdout)
      for await (const line of createInterface({ input: child.stdout })) await tell(line).catch(() => {});
    closing.signal.removeEventListener('abort', end);
  };
  return {
    oom,
    /** Reads who ran out of memory from before a restart. */
    recall: async (): Promise<void> => {
      for (const name of await readdir(cli.notes).catch(() => [])) {
        if (name.startsWith('oom-')) oom.add(name.slice('oom-'.length));
      }
    },
    forget: async (containerId: string): Promise<void> => {
      if (oom.delete(containerId)) await rm(note(containerId), { force: true });
    },
    start: (): void => {
      if (running) return;
      running = true;
      void (async () => {
        while (!closing.signal.aborted) {
          await follow().catch(() => {});
          await delay(1_000, undefined, { signal: closing.signal, ref: false }).catch(() => {});
        }
      })();
    },
    read: async function* (signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
      const waiting: RuntimeEvent[] = [];
      let wake = () => {};
      const reader = (event: RuntimeEvent) => {
        waiting.push(event);
        wake();
      };
      const onAbort = () => wake();
      readers.add(reader);
      signal.addEventListener('abort', onAbort);
      closing.signal.addEventListener('abort', onAbort);
      try {
        while (!signal.aborted && !closing.signal.aborted) {
          const next = waiting.shift();
          if (next) yield next;
          else
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
        }
      } finally {
        readers.delete(reader);
        signal.removeEventListener('abort', onAbort);
        closing.signal.removeEventListener('abort', onAbort);
      }
    },
    close: () => closing.abort(),
  };
};
