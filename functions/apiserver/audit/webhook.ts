import { Agent, request } from 'node:https';
import type { Connection } from '../authz/webhook/connection.ts';
import type { AuditEvent } from './event.ts';

export interface WebhookOptions {
  connection: Connection;
  /** Milliseconds until the first retry; each further one is half as long again, up to a fifth later. */
  initialBackoffMs: number;
  /** Characters of the events of one request; more are sent in several. */
  batchMax: number;
  onFault(error: Error, events: number): void;
  random(): number;
}

/** Sends events as audit.k8s.io/v1 EventLists. */
export interface Webhook {
  /** Resolves into whether all of them were taken; never rejects. */
  send(events: readonly AuditEvent[]): Promise<boolean>;
  /** Ends what is under way. */
  close(): void;
}

const ATTEMPTS = 5;
const FACTOR = 1.5;
const JITTER = 0.2;
const TIMEOUT_MS = 30_000;

const bodyOf = (events: readonly AuditEvent[]): string =>
  `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${events.map(({ json }) => json).join(',')}]}`;

/** Waits, and ends early with false where the signal is aborted. */
const pause = (ms: number, signal: AbortSignal): Promise<boolean> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve(false);
      return;
    }
    const stop = () => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve(true);
    }, ms);
    timer.unref();
    signal.addEventListener('abort', stop, { once: true });
  });

const createPost = ({ url, tls, authorization }: Connection) => {
  const agent = new Agent({ keepAlive: true, ...tls });
  const post = async (body: string, ending: AbortSignal): Promise<void> => {
    const credential = await authorization();
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      'user-agent': 'kube-apiserver-audit',
      ...(credential && { authorization: credential }),
    };
    const signal = AbortSignal.any([ending, AbortSignal.timeout(TIMEOUT_MS)]);
    await new Promise<void>((resolve, reject) => {
      const sent = request(url, { method: 'POST', agent, headers, signal }, (answer) => {
        // Nothing is read of what it says; an answer without end is cut off by the time it may take.
        answer.resume();
        answer.on('error', reject);
        answer.on('end', () => {
          const code = answer.statusCode ?? 0;
          if (code >= 200 && code < 300) resolve();
          else reject(new Error(`the webhook answered ${code}`));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  };
  return { post, close: () => agent.destroy() };
};

/** Cuts a batch where it grows too large. */
const split = (events: readonly AuditEvent[], most: number): (readonly AuditEvent[])[] => {
  const out: AuditEvent[][] = [];
  let size = 0;
  for (const event of events) {
    if (out.length === 0 || size + event.json.length > most) {
      out.push([]);
      size = 0;
    }
    out.at(-1)?.push(event);
    size += event.json.length;
  }
  return out;
};

/** Every failure is tried again, as upstream does: an event is lost for good where it is given up. */
export const createWebhook = (options: WebhookOptions): Webhook => {
  const { connection, initialBackoffMs, batchMax, onFault, random } = options;
  const { post, close } = createPost(connection);
  const ending = new AbortController();
  const sendOne = async (events: readonly AuditEvent[]): Promise<boolean> => {
    const body = bodyOf(events);
    let backoff = initialBackoffMs;
    for (let attempt = 1; ; attempt++) {
      try {
        await post(body, ending.signal);
        return true;
      } catch (error) {
        const again = attempt < ATTEMPTS && (await pause(backoff * (1 + random() * JITTER), ending.signal));
        if (!again) {
          onFault(error as Error, events.length);
          return false;
        }
        backoff *= FACTOR;
      }
    }
  };
  return {
    send: async (events) => {
      let all = true;
      for (const part of split(events, batchMax)) all = (await sendOne(part)) && all;
      return all;
    },
    close: () => {
      ending.abort();
      close();
    },
  };
};
