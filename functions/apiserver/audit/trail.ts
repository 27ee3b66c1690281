import { Readable } from 'node:stream';
import type { Clock } from '../../clock/clock.ts';
import { internalError, type Status } from '../../machinery/status.ts';
import { requestedName } from '../authz/authorizer.ts';
import type { AnyObject, ConnectionInfo } from '../context.ts';
import { type PlainParts, plainParts, type StreamedBody } from '../plain-response.ts';
import type { UserInfo } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import { bodyOfDocument, patchText, textOf, withoutManagedFields } from './bodies.ts';
import { type AuditEvent, type EventState, eventOf, type Stage } from './event.ts';
import type { AuditPolicy, Verdict } from './policy.ts';
import { isLasting, requestUriOf, sourceIpsOf, userAgentOf } from './request-metadata.ts';

/** Takes events; false where one that had to be kept was not. A promise where the request waits for it. */
export interface AuditSink {
  process(event: AuditEvent): boolean | Promise<boolean>;
}

/** What every request's trail shares. */
export interface TrailContext {
  policy: AuditPolicy;
  sink: AuditSink;
  clock: Clock;
  counted: { event(): void; level(level: string): void; rejected(): void };
}

/** How a request is audited, from when its caller is known to the end of its answer. Nothing happens out of order. */
export interface AuditTrail {
  /** The policy is asked, and RequestReceived told. Throws a 500 Status where that had to be kept and was not. */
  received(info: RequestInfo, user: UserInfo): void | Promise<void>;
  /** The caller could not be authenticated: one event, ResponseStarted, tells of it. */
  unauthenticated(info: RequestInfo): void;
  impersonated(user: UserInfo, constraint?: string): void;
  /** What is said first under a key stands. What tells of bodies is for levels that have them. */
  annotate(key: string, value: string, ofBodies?: boolean): void;
  /** The decoded object that a request brought, before admission. */
  requestObject(object: object): void;
  /** A patch as sent, or a configuration to apply. */
  requestPatch(bytes: Uint8Array, type: string): void;
  /** The answer as a value, whatever it is sent as. */
  answer(value: object): void;
  /** The answer as JSON that is sent as it is. */
  answerJson(body: Uint8Array | string): void;
  failed(status: Status): void;
  /** The request ended by a fault of ours. */
  panicked(status: Status): void;
  /** The answer's head goes out: tells ResponseStarted where it lasts. The function returned tells of its end. */
  began(code: number): () => void | Promise<void>;
  /** Tells how a request was answered; the answer is to be sent once it resolves. */
  ended(response: Response): Response | Promise<Response>;
}

/** A request's metadata and its connection's. */
export interface Audited {
  request: Asking;
  requestId: string;
  connection: ConnectionInfo;
}

const SLOW_MS = 500;
const NOT_ACCEPTABLE = 406;
const CLUSTER = 'skiff.dev/cluster';

/** Go's text of a duration of a second or less, or more. */
const durationText = (ms: number): string => (ms < 1000 ? `${ms}ms` : `${ms / 1000}s`);

const referenceOf = (info: RequestInfo, name: string): NonNullable<EventState['object']> => ({
  resource: info.resource,
  namespace: info.namespace,
  name,
  apiGroup: info.group,
  apiVersion: info.version,
  subresource: info.subresource,
  uid: '',
  resourceVersion: '',
  text: undefined,
});

/** What the object says of itself, where the path does not. */
const fill = (reference: NonNullable<EventState['object']>, { metadata }: AnyObject): void => {
  if (!metadata) return;
  reference.namespace ||= metadata.namespace ?? '';
  reference.name ||= metadata.name ?? '';
  reference.uid ||= metadata.uid ?? '';
  reference.resourceVersion ||= metadata.resourceVersion ?? '';
  reference.text = undefined;
};

const isStatus = (value: object): value is Status => (value as { kind?: unknown }).kind === 'Status';

type Asking = Pick<Request, 'headers' | 'url'> & { signal?: AbortSignal };

/** Calls back once when nobody reads the body any more, or all of it has been sent. */
const atEnd = (parts: PlainParts, request: Asking, end: () => void): boolean => {
  const { body } = parts;
  if (body instanceof Readable) {
    body.once('close', end);
    return true;
  }
  if (typeof body !== 'function') return false;
  // A body that the listener never asks for ends with its request, which may have ended by now.
  if (request.signal?.aborted) end();
  else request.signal?.addEventListener('abort', end, { once: true });
  const run: StreamedBody = body;
  parts.body = (sink, aborted) => {
    aborted.addEventListener('abort', end, { once: true });
    const { send } = sink;
    run(
      {
        send,
        get unread() {
          return sink.unread;
        },
        end: () => {
          sink.end();
          end();
        },
      },
      aborted,
    );
  };
  return true;
};

/** Follows one request. */
export const createTrail = (context: TrailContext, { request, requestId, connection }: Audited): AuditTrail => {
  const { policy, sink, clock, counted } = context;
  const receivedAt = clock.now();
  let state: EventState | undefined;
  let verdict: Verdict | undefined;
  let info: RequestInfo | undefined;
  let answered: { value: object } | { json: Uint8Array | string } | undefined;
  let lastStage: Stage = 'ResponseComplete';
  let onlyStarted = false;
  const takesBodies = (): boolean => state?.level === 'Request' || state?.level === 'RequestResponse';

  const emit = (stage: Stage, at: number): boolean | Promise<boolean> => {
    if (!state || verdict?.omitStages.has(stage)) return true;
    counted.event();
    return sink.process(eventOf(state, stage, at));
  };

  const evaluate = (asked: RequestInfo, caller: UserInfo | undefined): void => {
    info = asked;
    const user = connection.internal && caller ? controlPlane : caller;
    verdict = policy.verdict({ ...asked, user });
    counted.level(verdict.level);
    if (verdict.level === 'None') return;
    state = {
      level: verdict.level,
      auditId: requestId,
      requestUri: requestUriOf(request as Request),
      verb: asked.verb,
      user,
      sourceIps: sourceIpsOf(request as Request, connection),
      userAgent: userAgentOf(request as Request),
      receivedAt,
      annotations: { [CLUSTER]: asked.cluster },
    };
    if (asked.isResource) state.object = referenceOf(asked, requestedName({ ...asked, user: anyone }));
  };

  const rejected = (): never => {
    state = undefined;
    counted.rejected();
    throw internalError('failed to store audit event');
  };

  /** The answer as it stands in the event. */
  const takeAnswer = (code: number): void => {
    if (!state) return;
    const value = answered && 'value' in answered ? answered.value : undefined;
    if (value && isStatus(value)) {
      const { status, message, reason, details } = value;
      state.response = {
        status,
        ...(message && { message }),
        ...(reason && { reason }),
        ...(details && { details }),
        code,
      };
    } else state.response = { code };
    if (state.level !== 'RequestResponse' || !answered) return;
    const text = 'json' in answered ? textOf(answered.json) : JSON.stringify(answered.value);
    state.responseBody = verdict?.omitManagedFields ? withoutManagedFields(text) : text;
  };

  const began = (code: number): (() => void | Promise<void>) => {
    if (!state) return nothing;
    takeAnswer(code);
    const lasting = info !== undefined && isLasting(info);
    if (onlyStarted || lasting) {
      const told = emit('ResponseStarted', clock.now());
      if (told !== true && told !== false) told.catch(() => false);
    }
    if (onlyStarted) return nothing;
    let done = false;
    return () => {
      if (done || !state) return;
      done = true;
      const at = clock.now();
      if (!lasting && at - receivedAt > SLOW_MS)
        state.annotations['apiserver.latency.k8s.io/total'] = durationText(at - receivedAt);
      const told = emit(lastStage, at);
      if (typeof told !== 'boolean') return told.then(nothing, nothing);
    };
  };

  return {
    received: (asked, user) => {
      evaluate(asked, user);
      const kept = emit('RequestReceived', receivedAt);
      if (kept === true) return;
      if (kept === false) rejected();
      else return kept.then((stored) => (stored ? undefined : rejected()));
    },
    unauthenticated: (asked) => {
      evaluate(asked, undefined);
      onlyStarted = true;
    },
    impersonated: (user, constraint) => {
      if (!state) return;
      state.impersonated = user;
      if (constraint) state.constraint = constraint;
    },
    annotate: (key, value, ofBodies = false) => {
      if (state && (!ofBodies || takesBodies())) state.annotations[key] ??= value;
    },
    requestObject: (object) => {
      if (!state) return;
      if (state.object) fill(state.object, object as AnyObject);
      if (!takesBodies() || state.requestBody) return;
      const text = JSON.stringify(object);
      state.requestBody = verdict?.omitManagedFields ? withoutManagedFields(text) : text;
    },
    requestPatch: (bytes, type) => {
      if (state && takesBodies()) state.requestBody = patchText(bytes, type);
    },
    answer: (value) => {
      answered = { value };
    },
    answerJson: (json) => {
      answered = { json };
    },
    failed: (status) => {
      // Upstream writes this one past all that could be told of it.
      answered = status.code === NOT_ACCEPTABLE ? undefined : { value: status };
    },
    panicked: (status) => {
      answered = { value: status };
      lastStage = 'Panic';
    },
    began,
    ended: (response) => {
      if (!state) return response;
      const parts = plainParts(response);
      if (!parts && !answered && state.level === 'RequestResponse' && info && !info.isResource)
        return bodyOfDocument(response, info.path).then(async (text) => {
          if (text) answered = { json: text };
          await began(response.status)();
          return response;
        });
      const end = began(response.status);
      if (parts && atEnd(parts, request, () => void end())) return response;
      const told = end();
      return told ? told.then(() => response) : response;
    },
  };
};

const nothing = (): void => {};
/** Whom the control plane's own requests are told of, so that rules tell them from an administrator's. */
const controlPlane: UserInfo = {
  username: 'system:skiff-control-plane',
  uid: '',
  groups: ['system:masters', 'system:authenticated'],
  extra: {},
};
const anyone: UserInfo = { username: '', uid: '', groups: [], extra: {} };
