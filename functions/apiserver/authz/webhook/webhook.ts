import { setTimeout as pause } from 'node:timers/promises';
import type { Attributes, Authorizer, Decision } from '../authorizer.ts';
import type { WebhookConfiguration } from '../configuration.ts';
import type { AuthorizationMetrics } from '../metrics.ts';
import { type Answers, createAnswers } from './answers.ts';
import { type Caller, CallFault, createCaller } from './call.ts';
import { readConnection } from './connection.ts';
import { askConditions } from './match-conditions.ts';
import { type ReviewSpec, type ReviewStatus, reviewText, specOf, statusOf } from './review.ts';

export interface WebhookOptions {
  name: string;
  webhook: WebhookConfiguration;
  clock: { now(): number };
  metrics: AuthorizationMetrics;
  /** Waits between attempts; a timer where absent. */
  wait?(ms: number): Promise<unknown>;
}

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 500;
const PAUSE_FACTOR = 1.5;
/** Of all attempts together: requests end after a minute, and somebody else may still have to be asked. */
const TOTAL_MS_MAX = 30_000;
/** Questions of one cluster that wait for an answer; more are not sent. */
const WAITING_MAX = 1000;
/** Whoever makes up long names finds them asked each time, and not kept. */
const CONTROLLED_CHARS_MAX = 10_000;

const controlled = ({
  namespace,
  verb,
  group,
  version,
  resource,
  subresource,
  name,
  path,
  query,
}: Attributes): number =>
  [namespace, verb, group, version, resource, subresource, name, path].reduce((sum, one) => sum + one.length, 0) +
  (query?.get('fieldSelector') ?? '').length +
  (query?.get('labelSelector') ?? '').length;

const decisionOf = ({ allowed, denied, reason }: ReviewStatus): Decision => {
  if (denied && allowed)
    return {
      allowed: false,
      denied,
      reason,
      fault: 'webhook subject access review returned both allow and deny response',
    };
  if (denied) return { allowed: false, denied, reason };
  return allowed ? { allowed: true, ...(reason && { reason }) } : { allowed: false, reason };
};

interface Waiting {
  answers: Answers;
  /** Questions under way; the same one is asked once. */
  asked: Map<string, Promise<ReviewStatus>>;
}

/**
 * Asks a webhook with SubjectAccessReviews, as https://kubernetes.io/docs/reference/access-authn-authz/webhook/ describes.
 * Answers are kept per cluster. Failures decide nothing, or refuse, as the failure policy says; they are never kept.
 */
export const createWebhookAuthorizer = (options: WebhookOptions): Authorizer & { close(): void } => {
  const { name, webhook, clock, metrics } = options;
  const wait = options.wait ?? ((ms: number) => pause(ms));
  const clusters = new Map<string, Waiting>();
  let caller: Promise<Caller> | undefined;
  const denied = webhook.failurePolicy === 'Deny';
  const failed = (fault: string): Decision => ({ allowed: false, ...(denied && { denied }), reason: '', fault });
  const connected = (): Promise<Caller> => {
    caller ??= readConnection(webhook.kubeConfigFile).then(createCaller);
    caller.catch(() => {
      caller = undefined;
    });
    return caller;
  };
  const waitingOf = (cluster: string): Waiting => {
    let waiting = clusters.get(cluster);
    if (!waiting) {
      waiting = { answers: createAnswers(clock), asked: new Map() };
      clusters.set(cluster, waiting);
    }
    return waiting;
  };

  const askOnce = async (cluster: string, text: string): Promise<ReviewStatus> => {
    const began = clock.now();
    try {
      const status = statusOf(webhook.version, await (await connected()).post(text, cluster, webhook.timeoutMs));
      metrics.called(name, 'success', clock.now() - began);
      return status;
    } catch (error) {
      metrics.called(name, error instanceof CallFault ? error.result : 'error', clock.now() - began);
      throw error;
    }
  };

  const ask = async (cluster: string, spec: ReviewSpec): Promise<ReviewStatus> => {
    const text = reviewText(webhook.version, spec);
    const until = clock.now() + TOTAL_MS_MAX;
    let ms = FIRST_PAUSE_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        return await askOnce(cluster, text);
      } catch (error) {
        const again = error instanceof CallFault && error.again && attempt < ATTEMPTS && clock.now() + ms < until;
        if (!again) throw error;
      }
      await wait(ms);
      ms *= PAUSE_FACTOR;
    }
  };

  const asking = (cluster: string, { asked }: Waiting, key: string, spec: ReviewSpec): Promise<ReviewStatus> => {
    const known = asked.get(key);
    if (known) return known;
    if (asked.size >= WAITING_MAX) throw new Error(`too many questions wait for the authorizer ${name}`);
    const answer = ask(cluster, spec).finally(() => asked.delete(key));
    asked.set(key, answer);
    return answer;
  };

  const statusFor = async (attributes: Attributes, spec: ReviewSpec): Promise<ReviewStatus> => {
    const { cluster } = attributes;
    const waiting = waitingOf(cluster);
    const key = `${cluster}\n${JSON.stringify(spec)}`;
    const kept = waiting.answers.find(key);
    if (kept) return kept;
    const status = await asking(cluster, waiting, key, spec);
    if (controlled(attributes) < CONTROLLED_CHARS_MAX)
      waiting.answers.keep(key, status, status.allowed ? webhook.authorizedMs : webhook.unauthorizedMs);
    return status;
  };

  return {
    authorize: async (attributes) => {
      const spec = specOf(attributes);
      if (webhook.conditions.length > 0) {
        const began = clock.now();
        const verdict = askConditions(webhook.conditions, spec);
        metrics.matched(name, verdict, clock.now() - began);
        if (verdict === 'skip') return { allowed: false, reason: '' };
        if (verdict !== 'call') return failed(verdict.faults.join('; '));
      }
      try {
        return decisionOf(await statusFor(attributes, spec));
      } catch (error) {
        if (!denied) metrics.failedOpen(name, error instanceof CallFault ? error.result : 'error');
        return failed(error instanceof Error ? error.message : String(error));
      }
    },
    rulesFor: async () => ({ rules: [], incomplete: 'webhook authorizer does not support user rule resolution' }),
    close: () => void caller?.then((one) => one.close()),
  };
};
