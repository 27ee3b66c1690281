import { open, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseLogLine } from '../logs.ts';
import type { Container, ExitStatus, Streams } from './runtime.ts';

const LOOK_MS = 100;
/** How many looks at the log between two questions whether the container still runs. */
const LOOKS = 10;

/**
 * Attaching, output only: nerdctl's own attach needs a container that was started on a terminal, so what is written to the
 * log from now on is passed on until the container ends.
 */
export const followLog = async (
  look: () => Promise<Container | undefined>,
  io: Streams,
  signal: AbortSignal,
): Promise<ExitStatus> => {
  let container = await look();
  const path = container?.logPath ?? '';
  let offset = (await stat(path).catch(() => undefined))?.size ?? 0;
  let rest = Buffer.alloc(0);
  const pass = async (): Promise<void> => {
    const size = (await stat(path).catch(() => undefined))?.size ?? 0;
    if (size < offset) offset = 0;
    if (size === offset) return;
    const file = await open(path, 'r');
    const part = Buffer.alloc(size - offset);
    const { bytesRead } = await file.read(part, 0, part.length, offset).finally(() => file.close());
    offset += bytesRead;
    let data = Buffer.concat([rest, part.subarray(0, bytesRead)]);
    for (let at = data.indexOf(10); at >= 0; at = data.indexOf(10)) {
      const line = parseLogLine(data.subarray(0, at));
      data = data.subarray(at + 1);
      const to = line?.stream === 'stderr' ? (io.stderr ?? io.stdout) : io.stdout;
      if (line && to) to.write(line.partial ? line.content : Buffer.concat([line.content, Buffer.from('\n')]));
    }
    rest = Buffer.from(data);
  };
  for (let looks = 0; !signal.aborted && container?.state === 'running'; looks += 1) {
    await pass();
    await delay(LOOK_MS, undefined, { signal }).catch(() => {});
    if (looks % LOOKS === LOOKS - 1) container = await look();
  }
  signal.throwIfAborted();
  await pass();
  return { exitCode: container?.exitCode ?? 0 };
};
