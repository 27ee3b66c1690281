import type { IncomingMessage } from 'node:http';
import { Agent, request as requestHttps } from 'node:https';
import type { Json } from '../../../machinery/object.ts';
import { answerText, faultText } from '../../outgoing/faults.ts';
import type { Connection } from './connection.ts';

/** How a call ended, as upstream's metrics name it. */
export type CallResult = 'success' | 'timeout' | 'error';

/** A call that gave no answer: in upstream's words, and whether it is worth to be tried again. */
export class CallFault extends Error {
  readonly result: Exclude<CallResult, 'success'>;
  readonly again: boolean;
  constructor(message: string, result: Exclude<CallResult, 'success'>, again: boolean) {
    super(message);
    this.result = result;
    this.again = again;
  }
}

/** A decision is a few hundred bytes. */
const ANSWER_BYTES_MAX = 1 << 20;
const CONNECTIONS_MAX = 64;
const IDLE_MS = 30_000;

export interface Caller {
  /** Posts JSON and returns the answer's. Rejects with CallFault. */
  post(body: string, cluster: string, timeoutMs: number): Promise<Json>;
  close(): void;
}

const readAnswer = async (answer: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer) {
    size += (part as Buffer).length;
    if (size > ANSWER_BYTES_MAX) {
      answer.destroy();
      throw new CallFault(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`, 'error', false);
    }
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString();
};

/** Statuses after which upstream asks again. */
const isPassing = (answer: IncomingMessage): boolean =>
  answer.statusCode === 500 ||
  answer.statusCode === 504 ||
  answer.statusCode === 429 ||
  answer.headers['retry-after'] !== undefined;

const decoded = (answer: IncomingMessage, body: string): Json => {
  const code = answer.statusCode ?? 0;
  if (code < 200 || code > 299) {
    const why = answerText(code, answer.headers['content-type'] ?? '', body);
    throw new CallFault(why, code === 504 ? 'timeout' : 'error', isPassing(answer));
  }
  try {
    return JSON.parse(body) as Json;
  } catch (error) {
    throw new CallFault(error instanceof Error ? error.message : String(error), 'error', false);
  }
};

/** Connections to one webhook. Answers, connections and time are bounded. */
export const createCaller = ({ url, tls, authorization }: Connection): Caller => {
  const agent = new Agent({ keepAlive: true, timeout: IDLE_MS, maxSockets: CONNECTIONS_MAX, ...tls });
  const send = (body: string, headers: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const sent = requestHttps(url, { method: 'POST', agent, signal, headers });
      sent.on('response', resolve);
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // The other side closed an idle connection just now: it has not seen this request.
        const stale = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        if (stale && !signal.aborted) send(body, headers, signal).then(resolve, reject);
        else reject(error);
      });
      sent.end(body);
    });
  return {
    post: async (body, cluster, timeoutMs) => {
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const bearer = await authorization();
        const answer = await send(
          body,
          {
            accept: 'application/json',
            'content-type': 'application/json',
            'content-length': `${Buffer.byteLength(body)}`,
            'user-agent': 'kube-apiserver',
            // One webhook may be asked about several clusters, whose users are not the same people.
            'x-skiff-cluster': cluster,
            ...(bearer && { authorization: bearer }),
          },
          signal,
        );
        return decoded(answer, await readAnswer(answer));
      } catch (error) {
        if (error instanceof CallFault) throw error;
        if (signal.aborted) throw new CallFault(`Post "${url.href}": context deadline exceeded`, 'timeout', false);
        const again = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
        throw new CallFault(`Post "${url.href}": ${faultText(error)}`, 'error', again);
      }
    },
    close: () => agent.destroy(),
  };
};
