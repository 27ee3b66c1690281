import { readFileSync } from 'node:fs';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const root = protobuf.parse(readFileSync(new URL('./cri.proto', import.meta.url), 'utf8'), { keepCase: true }).root;
const types = new Map<string, protobuf.Type>();
const typeNamed = (name: string): protobuf.Type => {
  let type = types.get(name);
  if (!type) {
    type = root.lookupType(`skiff.cri.${name}`);
    types.set(name, type);
  }
  return type;
};

/** Bytes of a message of cri.proto. Unset fields may be left out of `value`. */
export const encodeMessage = (name: string, value: object): Buffer => {
  const type = typeNamed(name);
  return Buffer.from(type.encode(type.fromObject(value)).finish());
};
/** A message of cri.proto as a plain object: every field is there, int64 as a number, bytes as a Buffer. */
export const decodeMessage = <T>(name: string, bytes: Uint8Array): T => {
  const type = typeNamed(name);
  return type.toObject(type.decode(bytes), { defaults: true, longs: Number, bytes: Buffer }) as T;
};

/** Calls and subscriptions on one gRPC server behind a Unix socket. */
export interface GrpcConnection {
  call<T>(method: string, request: [type: string, value: object], response: string, timeoutMs: number): Promise<T>;
  subscribe<T>(
    method: string,
    request: [type: string, value: object],
    response: string,
    signal: AbortSignal,
  ): AsyncIterable<T>;
  close(): void;
}

/** True when the call failed because the thing named does not exist. */
export const isNotFound = (error: unknown): boolean => codeOf(error) === status.NOT_FOUND;
/** True when the server was not there or went away: the call may be tried again. */
export const isUnavailable = (error: unknown): boolean => codeOf(error) === status.UNAVAILABLE;
export const isDeadline = (error: unknown): boolean => codeOf(error) === status.DEADLINE_EXCEEDED;
const codeOf = (error: unknown): number | undefined => (error as Partial<ServiceError> | undefined)?.code;
/** The server's own words, without gRPC's number before them. */
export const detailsOf = (error: unknown): string =>
  (error as Partial<ServiceError>)?.details ?? (error instanceof Error ? error.message : String(error));

/** `socket` is the path of a Unix socket. Connects at the first call and again whenever the server comes back. */
export const connectGrpc = (socket: string): GrpcConnection => {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    'grpc.max_send_message_length': 64 * 1024 * 1024,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1000,
  });
  return {
    call: <T>(method: string, [type, value]: [string, object], response: string, timeoutMs: number) =>
      new Promise<T>((resolve, reject) => {
        client.makeUnaryRequest(
          method,
          (request: object) => encodeMessage(type, request),
          (bytes: Buffer) => decodeMessage<T>(response, bytes),
          value,
          new Metadata({ waitForReady: true }),
          { deadline: Date.now() + timeoutMs },
          (error, answer) => (error || answer === undefined ? reject(error) : resolve(answer)),
        );
      }),
    subscribe: async function* <T>(
      method: string,
      [type, value]: [string, object],
      response: string,
      signal: AbortSignal,
    ): AsyncIterable<T> {
      const call = client.makeServerStreamRequest(
        method,
        (request: object) => encodeMessage(type, request),
        (bytes: Buffer) => decodeMessage<T>(response, bytes),
        value,
        new Metadata({ waitForReady: true }),
      );
      const cancel = (): void => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      if (signal.aborted) cancel();
      try {
        for await (const message of call) yield message as T;
      } finally {
        signal.removeEventListener('abort', cancel);
        call.cancel();
      }
    },
    close: () => client.close(),
  };
};
