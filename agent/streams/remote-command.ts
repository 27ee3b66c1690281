import type { Readable, Writable } from 'node:stream';
import type { ExitStatus, Runtime, StreamRequest } from '../runtime/runtime.ts';

/** What a client of exec or attach asked for, and its channels; resize comes as `{"Width":80,"Height":24}` lines. */
export interface RemoteCommand {
  stdin?: Readable;
  stdout?: Writable;
  stderr?: Writable;
  resize?: AsyncIterable<{ width: number; height: number }>;
  /** Writes the v4 Status to the error channel and closes everything. */
  finish(status: Record<string, unknown>): void;
  signal: AbortSignal;
}

/** The Status on the error channel of protocol v4 and v5: Success, or NonZeroExitCode with the code as a cause. */
export const exitStatus = (exit: ExitStatus): Record<string, unknown> =>
  exit.exitCode === 0
    ? { metadata: {}, status: 'Success' }
    : {
        metadata: {},
        status: 'Failure',
        reason: 'NonZeroExitCode',
        message: `command terminated with non-zero exit code: exit status ${exit.exitCode}`,
        details: { causes: [{ reason: 'ExitCode', message: String(exit.exitCode) }] },
      };

export const failureStatus = (message: string): Record<string, unknown> => ({
  metadata: {},
  status: 'Failure',
  reason: 'InternalError',
  message,
  code: 500,
});

/** Parses the size messages of a resize channel; what is not one is skipped. */
export async function* sizes(channel: AsyncIterable<Buffer>): AsyncIterable<{ width: number; height: number }> {
  let rest = '';
  for await (const part of channel) {
    rest += part.toString('utf8');
    for (let end = rest.indexOf('}'); end >= 0; end = rest.indexOf('}')) {
      const text = rest.slice(0, end + 1);
      rest = rest.slice(end + 1);
      try {
        const { Width, Height } = JSON.parse(text) as { Width?: number; Height?: number };
        if (Width && Height) yield { width: Width, height: Height };
      } catch {}
    }
  }
}

/** Runs the command against the runtime until it, the client or the connection ends. */
export const serveRemoteCommand = async (
  runtime: Runtime,
  id: string,
  want: StreamRequest,
  command: RemoteCommand,
): Promise<void> => {
  const io = {
    ...(command.stdin && { stdin: command.stdin }),
    ...(command.stdout && { stdout: command.stdout }),
    ...(command.stderr && { stderr: command.stderr }),
    ...(command.resize && { resize: command.resize }),
  };
  try {
    command.finish(exitStatus(await runtime.stream(id, want, io, command.signal)));
  } catch (error) {
    command.finish(failureStatus(error instanceof Error ? error.message : String(error)));
  }
};
