import type { Clock } from '../../clock/clock.ts';
import type { Replicas } from '../../store/replica-port.ts';
import { BUILT_IN } from '../fleet/cluster-kind.ts';
import { plainParts, plainResponse } from '../plain-response.ts';
import type { UserInfo } from '../registry.ts';
import type { RequestInfo } from '../request-info.ts';
import { type ClusterFlow, lend, reap } from './cluster-flow.ts';
import { flowMetrics } from './flow-metrics.ts';
import { createFlows, type FlowsOptions } from './flows.ts';
import { createGate } from './gate.ts';
import {
  enter,
  finish,
  type Level,
  nextTurn,
  noteRefusal,
  type Refusal,
  release,
  type Turn,
  withdraw,
} from './level.ts';
import { waitMs } from './patience.ts';
import { countWatcher, onInitialEvents } from './watches.ts';
import { sendsInitialEvents, workOf } from './work.ts';

export interface FlowControlOptions extends Pick<FlowsOptions, 'staleMsMax' | 'clustersMax'> {
  replicas: Replicas;
  clock: Clock;
  /** Seats that a cluster's levels share, at this moment; 600 where absent, as upstream's 400 reads and 200 writes. */
  seats?: () => number | undefined;
  /**
   * Objects are read beside the first requests of a cluster rather than before them: for functions, which serve few
   * requests at a time and start often.
   */
  beside?: boolean;
  /** Calls back in the next turn of the event loop; setImmediate when absent. */
  nextLoop?: (callback: () => void) => void;
  /** Milliseconds from any point in time, monotonic; performance.now when absent. */
  elapsed?: () => number;
}

/** A request that flow control knows of. */
export interface Pass {
  /** Set where the request must not go on. */
  readonly refusal: Refusal | undefined;
}

/** Upstream's API priority and fairness (KEP-1040) in one thread, for many clusters. */
export interface FlowControl {
  /**
   * Takes a request in, once its caller is known. A pass at once or, where it has to wait, later; undefined for requests
   * that last (exec, logs, proxies), which are not counted. A pass must be given back to `end`, whatever becomes of the request.
   */
  begin(info: RequestInfo, user: UserInfo, request: Request): Pass | Promise<Pass> | undefined;
  /** Frees what the request took and marks its answer with what it was classified as. Never throws. */
  end(pass: Pass, response: Response): void | Promise<void>;
  /** The answer to a request whose pass is a refusal: upstream's 429. */
  refused(pass: Pass, requestId: string): Response;
  /** The text at a path below /debug/api_priority_and_fairness/; undefined where there is none. */
  document(info: RequestInfo): Promise<string | undefined>;
  /** A cluster's numbers in Prometheus' text format. */
  metrics(cluster: string): string;
  /** What is known of a cluster; for tests. */
  state(cluster: string): ClusterFlow | undefined;
}

interface Own extends Turn {
  readonly flow: ClusterFlow;
}
/** Begun before its cluster's objects were read. */
interface Unclassified {
  readonly refusal: undefined;
  readonly loading: Promise<ClusterFlow>;
  readonly info: RequestInfo;
  readonly user: UserInfo;
}
const isUnclassified = (pass: Pass): pass is Unclassified => 'loading' in pass;

const SEATS = 600;
/** Requests that wait in all clusters together, beyond which those of clusters with more than their part are refused. */
export const WAITING_MAX = 4000;
/** The exempt of tenants are refused when so many wait for the thread; those of the operator's clusters never are. */
export const EXEMPT_WAITING_MAX = 1000;
/** While a cluster's objects are read, so many of its requests go on unclassified. */
const UNCLASSIFIED_MAX = 16;
const LASTING = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

const isLasting = ({ isResource, subresource, path }: RequestInfo): boolean => {
  if (isResource) return subresource !== '' && LASTING.has(subresource);
  return path === '/debug/pprof' || path.startsWith('/debug/pprof/');
};

const SCHEMA = 'x-kubernetes-pf-flowschema-uid';
const LEVEL = 'x-kubernetes-pf-prioritylevel-uid';

/** Says which schema and level a request had, by uid: names are the operator's business. */
const mark = (response: Response, { uid, level }: { uid: string; level: Level }): void => {
  const parts = plainParts(response);
  if (parts) {
    parts.headers[SCHEMA] = uid;
    parts.headers[LEVEL] = level.settings.uid;
    return;
  }
  try {
    response.headers.set(SCHEMA, uid);
    response.headers.set(LEVEL, level.settings.uid);
  } catch {
    // Headers of an answer that another server gave cannot be changed.
  }
};

/** Upstream answers in plain text here, which its clients know. */
const tooMany = (requestId: string, seconds: number): Response =>
  plainResponse({
    status: 429,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache, private',
      'audit-id': requestId,
      'retry-after': String(seconds),
    },
    body: 'Too many requests, please try again later.\n',
  });

/** Composes flow control. It starts nothing: what has to be done now and then is done as requests come. */
export const createFlowControl = (options: FlowControlOptions): FlowControl => {
  const { replicas, clock, beside = false } = options;
  const seats = () => options.seats?.() ?? SEATS;
  const gate = createGate(options.nextLoop ?? setImmediate, options.elapsed ?? (() => performance.now()));
  const seed = { a: Math.floor(clock.random() * 2 ** 32), b: Math.floor(clock.random() * 2 ** 32) };
  const flows = createFlows({ ...options, seats, changed: (flow) => dispatchAll(flow) });
  let waiting = 0;
  let queueing = 0;

  /**
   * Gives free seats to who waits. While one of a level waits for the thread nobody else of it is chosen: whoever comes
   * until then has as good a claim.
   */
  const dispatch = (flow: ClusterFlow, level: Level, now: number): void => {
    while (level.paced.length === level.pacedFrom) {
      const turn = nextTurn(level, now);
      if (!turn) return;
      const { resume } = turn;
      if (gate.pass(flow.lane, turn)) resume?.();
      else
        turn.resume = () => {
          resume?.();
          dispatch(flow, level, clock.now());
        };
    }
  };
  const dispatchAll = (flow: ClusterFlow): void => {
    if (flow.waiting === 0) return;
    const now = clock.now();
    for (const level of flow.levels.values()) dispatch(flow, level, now);
  };
  const left = (flow: ClusterFlow, level: Level, now: number): void => {
    if (level.waiting > 0) dispatch(flow, level, now);
    if (level.leaving) reap(flow, level, seats(), now);
  };

  /** Waits for seats: until they are there, the client goes, or a quarter of its time is over. */
  const queued = (turn: Own, request: Request): Promise<Pass> | Pass => {
    const { flow, level } = turn;
    const give = (why: Refusal): void => {
      withdraw(level, turn, why, clock.now());
      left(flow, level, clock.now());
    };
    const isCrowded = waiting >= WAITING_MAX && flow.waiting >= WAITING_MAX / Math.max(1, queueing);
    const { signal } = request;
    if (isCrowded || signal.aborted) {
      withdraw(level, turn, isCrowded ? 'queue-full' : 'cancelled', clock.now());
      return turn;
    }
    waiting++;
    if (flow.waiting++ === 0) queueing++;
    return new Promise((resolve) => {
      const done = (): void => {
        turn.resume = undefined;
        stop();
        signal.removeEventListener('abort', gone);
        waiting--;
        if (--flow.waiting === 0) queueing--;
        resolve(turn);
      };
      const refuse = (why: Refusal): void => {
        // What has its seats already only waits for the next turn of the event loop.
        if (turn.state !== 'waiting') return;
        give(why);
        done();
      };
      const gone = (): void => refuse('cancelled');
      const stop = clock.after(waitMs(turn.info), () => refuse('time-out'));
      signal.addEventListener('abort', gone, { once: true });
      turn.resume = done;
    });
  };

  const take = (flow: ClusterFlow, info: RequestInfo, user: UserInfo, request: Request): Pass | Promise<Pass> => {
    const now = clock.now();
    if (now >= flow.adjustAt) {
      lend(flow, now);
      dispatchAll(flow);
    }
    const schema = flow.classify(info, user) ?? flow.catchAll;
    const { level } = schema;
    const { initialSeats, finalSeats, extraMs } = workOf(replicas, flow, info, level);
    const turn: Own = {
      flow,
      schema,
      level,
      info,
      username: user.username,
      seats: initialSeats > finalSeats ? initialSeats : finalSeats,
      initialSeats,
      finalSeats,
      extraMs,
      arrivedAt: now,
      startedAt: 0,
      state: 'waiting',
      refusal: undefined,
      resume: undefined,
      arrivalR: 0,
      queue: undefined,
      previous: undefined,
      next: undefined,
    };
    enter(level, turn, schema.by === 'ByUser' ? user.username : schema.by === '' ? '' : info.namespace, seed, now);
    if (turn.state === 'running') return paced(turn);
    if (turn.state === 'over') return turn;
    // Seats may be free though someone waits: whoever is next takes them.
    const pass = queued(turn, request);
    dispatch(flow, level, now);
    return pass;
  };

  /** It has its seats; the thread may have to do others' work first. */
  const paced = (turn: Own): Pass | Promise<Pass> => {
    const { flow, level } = turn;
    if (level.settings.exempt && flow.lane.waiting >= EXEMPT_WAITING_MAX) {
      if (BUILT_IN.has(flow.cluster)) return turn;
      turn.refusal = 'concurrency-limit';
      noteRefusal(turn, turn.refusal);
      return turn;
    }
    if (gate.pass(flow.lane, turn)) return turn;
    return new Promise((resolve) => {
      turn.resume = () => {
        turn.resume = undefined;
        resolve(turn);
        if (level.waiting > 0) dispatch(flow, level, clock.now());
      };
    });
  };

  let unclassified = 0;
  const begin: FlowControl['begin'] = (info, user, request) => {
    if (isLasting(info)) return undefined;
    const flow = flows.at(info.cluster);
    if (!(flow instanceof Promise)) return take(flow, info, user, request);
    if (!beside || unclassified >= UNCLASSIFIED_MAX) return flow.then((ready) => take(ready, info, user, request));
    unclassified++;
    return { refusal: undefined, loading: flow, info, user };
  };

  const over = (turn: Own): void => {
    const { flow, level } = turn;
    const now = clock.now();
    finish(level, turn, now);
    if (turn.state === 'lingering')
      clock.after(turn.extraMs, () => {
        release(level, turn, clock.now());
        left(flow, level, clock.now());
      });
    if (level.waiting > 0 || level.leaving) left(flow, level, now);
  };

  const end: FlowControl['end'] = (pass, response) => {
    if (isUnclassified(pass)) {
      unclassified--;
      const { info, user } = pass;
      return pass.loading.then(
        (flow) => mark(response, flow.classify(info, user) ?? flow.catchAll),
        () => undefined,
      );
    }
    const turn = pass as Own;
    mark(response, turn.schema);
    if (turn.state === 'over') return;
    const { info, flow } = turn;
    const parts = info.verb === 'watch' && response.status === 200 ? plainParts(response) : undefined;
    if (typeof parts?.body === 'function') {
      parts.body = countWatcher(flow.watchers, `${info.group}/${info.resource}`, parts.body);
      if (sendsInitialEvents(info)) {
        parts.body = onInitialEvents(parts.body, clock, () => over(turn));
        return;
      }
    }
    over(turn);
  };

  const refused: FlowControl['refused'] = (pass, requestId) => {
    const { flow, level } = pass as Own;
    return tooMany(requestId, flow.retryAfter.refused(level.name, clock.now()));
  };
  return {
    begin,
    end,
    refused,
    document: async (info) => {
      const flow = flows.known(info.cluster);
      const { dumpOf } = await import('./dump.ts');
      return flow && dumpOf(flow, info);
    },
    metrics: (cluster) => {
      const flow = flows.known(cluster);
      return flow ? flowMetrics(flow) : '';
    },
    state: flows.known,
  };
};
