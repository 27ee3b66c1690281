import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { type CallerIdentity, readCallerIdentity } from './caller-identity.ts';
import { CLUSTER_HEADER, type PresignedToken } from './presigned-token.ts';

/**
 * `refused`: STS does not take it, now or later. `busy`: STS is asked too much by this caller's account. `unreachable`: no
 * answer that can be judged.
 */
export type StsAnswer = { identity: CallerIdentity } | { failure: 'refused' | 'busy' | 'unreachable'; why: string };

export interface StsOptions {
  /** PEM of the authorities of a stand-in; the system's where absent. */
  certificateAuthority?: string;
  /** The longest that one attempt takes, in milliseconds; 5,000 where absent. */
  timeoutMs?: number;
}

/** Asks STS who signed a token, in the name of a cluster. Never rejects. */
export interface Sts {
  ask(presigned: PresignedToken, clusterId: string): Promise<StsAnswer>;
  close(): void;
}

const TIMEOUT_MS = 5_000;
/** An answer is some 500 bytes. */
const ANSWER_BYTES_MAX = 16 << 10;
const RETRY_MS = 100;
const IDLE_SOCKETS_MAX = 8;

interface Reply {
  status: number;
  text: string;
}

/** A request follows no redirect, goes by no proxy and sends nothing but what stands here. */
const send = (
  presigned: PresignedToken,
  clusterId: string,
  options: { agent: HttpAgent | HttpsAgent; timeoutMs: number },
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const { origin, path } = presigned;
    const { protocol, hostname, port } = new URL(origin);
    const begin = protocol === 'https:' ? httpsRequest : httpRequest;
    const signal = AbortSignal.timeout(options.timeoutMs);
    const headers = { accept: 'application/json', [CLUSTER_HEADER]: clusterId };
    const target = { hostname: hostname.replace(/^\[|\]$/g, ''), path, method: 'GET', headers, maxHeaderSize: 16_384 };
    const sent = begin({ ...target, ...(port && { port }), agent: options.agent, signal }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) sent.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.on('error', reject);
      response.on('aborted', () => reject(new Error('the answer was cut off')));
    });
    sent.on('error', reject);
    sent.end();
  });

const judge = ({ status, text }: Reply, accessKeyId: string): StsAnswer => {
  if (status === 200) {
    const identity = readCallerIdentity(text, accessKeyId);
    return identity ? { identity } : { failure: 'refused', why: 'the answer is not of GetCallerIdentity' };
  }
  if (status === 429 || /Throttling|RequestLimitExceeded/.test(text)) return { failure: 'busy', why: 'throttled' };
  if (status >= 500) return { failure: 'unreachable', why: `status ${status}` };
  return { failure: 'refused', why: `status ${status}` };
};

/** Asking twice changes nothing: what failed on the way, or within STS, is sent once more. */
export const createSts = ({ certificateAuthority, timeoutMs = TIMEOUT_MS }: StsOptions): Sts => {
  // How many questions are on their way is bounded for each cluster, so that none waits for another's.
  const shared = { keepAlive: true, maxFreeSockets: IDLE_SOCKETS_MAX, timeout: 60_000 };
  const agents = {
    'http:': new HttpAgent(shared),
    'https:': new HttpsAgent({
      ...shared,
      rejectUnauthorized: true,
      ...(certificateAuthority && { ca: certificateAuthority }),
    }),
  };
  const attempt = async (presigned: PresignedToken, clusterId: string): Promise<StsAnswer> => {
    const agent = presigned.origin.startsWith('http:') ? agents['http:'] : agents['https:'];
    try {
      return judge(await send(presigned, clusterId, { agent, timeoutMs }), presigned.accessKeyId);
    } catch (error) {
      return { failure: 'unreachable', why: error instanceof Error ? error.message : String(error) };
    }
  };
  return {
    ask: async (presigned, clusterId) => {
      const first = await attempt(presigned, clusterId);
      if ('identity' in first || first.failure !== 'unreachable') return first;
      await delay(RETRY_MS);
      return attempt(presigned, clusterId);
    },
    close: () => {
      agents['http:'].destroy();
      agents['https:'].destroy();
    },
  };
};
