import { createSimulatedClock } from '../../clock/simulated.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { createReplicas } from '../../store/replica.ts';
import { requestInfo } from '../request-info.ts';
import { seedCluster } from '../seed.ts';
import { createFlowControl, type FlowControlOptions, type Pass } from './flow-control.ts';

const GROUP = 'flowcontrol.apiserver.k8s.io';

/** A request of a test on its way. */
export interface Asked {
  username: string;
  cluster: string;
  askedAt: number;
  /** Set when it may go on or is refused; `answeredAt` in the clock's milliseconds. */
  pass: Pass | undefined;
  answeredAt: number;
  begun: boolean;
  /** The client goes away. */
  abort(): void;
  /** It is answered. */
  end(status?: number): void;
}

/** A level's object; queues of 0 refuse at once. */
export const level = (name: string, shares: number, queuing?: [queues: number, hand: number, length: number]) =>
  ({
    apiVersion: `${GROUP}/v1`,
    kind: 'PriorityLevelConfiguration',
    metadata: { name },
    spec: {
      type: 'Limited',
      limited: {
        nominalConcurrencyShares: shares,
        lendablePercent: 0,
        borrowingLimitPercent: 0,
        limitResponse: queuing
          ? { type: 'Queue', queuing: { queues: queuing[0], handSize: queuing[1], queueLengthLimit: queuing[2] } }
          : { type: 'Reject' },
      },
    },
  }) as KubeObject;

/** A schema for every resource request of some users. */
export const schema = (name: string, to: string, precedence: number, users: readonly string[], by = 'ByUser') =>
  ({
    apiVersion: `${GROUP}/v1`,
    kind: 'FlowSchema',
    metadata: { name },
    spec: {
      priorityLevelConfiguration: { name: to },
      matchingPrecedence: precedence,
      distinguisherMethod: { type: by },
      rules: [
        {
          subjects: users.map((user) => ({ kind: 'User', user: { name: user } })),
          resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'], clusterScope: true }],
        },
      ],
    },
  }) as KubeObject;

/** Flow control over a memory store, with a clock and turns of the event loop that the test moves on. */
export const createFlowWorld = async (
  objects: Readonly<Record<string, readonly KubeObject[]>>,
  options: Partial<FlowControlOptions> & { seed?: number } = {},
) => {
  const clock = createSimulatedClock({ seed: options.seed ?? 1 });
  const store = createMemoryStore();
  for (const [cluster, more] of Object.entries(objects)) await seedCluster({ store, cluster, clock, more });
  const replicas = createReplicas(store, { clock, bytesMax: 1 << 26, windowChanges: 1000, windowMs: 60_000 });
  let next: (() => void)[] = [];
  const flow = createFlowControl({
    replicas,
    clock,
    nextLoop: (callback) => void next.push(callback),
    elapsed: () => clock.now(),
    ...options,
  });
  const pending = new Set<Promise<unknown>>();

  const ask = (username: string, path = '/api/v1/namespaces/a/pods/p', cluster = 'default', method = 'GET'): Asked => {
    const prefix = cluster === 'default' ? '' : `/clusters/${cluster}`;
    const info = requestInfo(method, `https://x${prefix}${path}`);
    const gone = new AbortController();
    const request = new Request(`https://x${path}`, { signal: gone.signal });
    const groups = username === 'admin' ? ['system:masters'] : [];
    const asked: Asked = {
      username,
      cluster,
      askedAt: clock.now(),
      pass: undefined,
      answeredAt: 0,
      begun: false,
      abort: () => gone.abort(),
      end: (status = 200) => {
        if (!asked.pass) throw new Error('not begun');
        const ended = flow.end(asked.pass, new Response(null, { status }));
        if (ended) pending.add(ended);
      },
    };
    const took = (pass: Pass): void => {
      asked.pass = pass;
      asked.begun = pass.refusal === undefined;
      asked.answeredAt = clock.now();
    };
    const pass = flow.begin(info, { username, uid: '', groups, extra: {} }, request);
    if (pass instanceof Promise) pass.then(took);
    else if (pass) took(pass);
    return asked;
  };

  return {
    clock,
    store,
    replicas,
    flow,
    ask,
    /** Lets promises settle without a turn of the loop. */
    settle: () => clock.advance(0),
    /** One turn of the event loop; returns whether anything had waited for it. */
    turn: async (): Promise<boolean> => {
      const due = next;
      next = [];
      for (const callback of due) callback();
      await clock.advance(0);
      return due.length > 0;
    },
    /** The level of a cluster, which must be there. */
    level: (name: string, cluster = 'default') => {
      const found = flow.state(cluster)?.levels.get(name);
      if (!found) throw new Error(`no level ${name}`);
      return found;
    },
  };
};
