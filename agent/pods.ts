import type { Pod } from '../functions/machinery/kinds.d.ts';
import { StatusError } from '../functions/machinery/status.ts';
import type { Refusal } from './admit.ts';
import { type Action, decide } from './decide.ts';
import type { Doorbell } from './follow.ts';
import { isRunning, type ObservedPod, type ProbeState, resizeSetback, runsOf, specContainers } from './observed.ts';
import type { NodeTools, Operations } from './operations.ts';
import { askedOf, grantedBefore, pendingResize } from './resize.ts';
import * as resources from './resources.ts';
import { RuntimeError } from './runtime/runtime.ts';
import { podStatus, statusPatch } from './status.ts';
import { granted, newWorker, type Worker } from './worker.ts';

/** What the pod worker needs beyond the operations. */
export interface PodDependencies {
  tools: NodeTools;
  operate: Operations;
  doorbell: Doorbell<Pod>;
  /** Whether the node can take the pod beside those it has; undefined when it can. */
  admit(pod: Pod, others: Pod[]): Refusal | undefined | Promise<Refusal | undefined>;
  probes: {
    results: ReadonlyMap<string, ProbeState>;
    sync(pod: Pod, containers: ObservedPod['sandboxes']): void;
    drop(uid: string): void;
  };
  /** The text a container left when it ended; called once per run. */
  terminationMessage(
    pod: Pod,
    run: { id: string; name: string; attempt: number; exitCode?: number },
  ): string | undefined;
  onError(message: string, error: unknown): void;
}

/** The pods of one node: follows them, runs one worker a pod, and answers what the kubelet API asks. */
export interface PodManager {
  run(signal: AbortSignal): Promise<void>;
  /** Look at this pod again: a probe's result, an event of the runtime. */
  poke(uid: string): void;
  get(namespace: string, name: string): Pod | undefined;
  all(): Pod[];
}

/** A status that is still changing waits this long, so that a quick start is one write. */
const statusDelayMs = 250;
/** A deferred resize is looked at again after this long, whatever happens. */
const deferredMs = 5000;
const failureDelayMs = (count: number): number => Math.min(10_000 * 2 ** (count - 1), 300_000);
const newer = (a: Pod, b: Pod): boolean =>
  BigInt(a.metadata.resourceVersion ?? '0') >= BigInt(b.metadata.resourceVersion ?? '0');

const setbackName = (action: Action): string | undefined => {
  if (action.do === 'volumes' || action.do === 'startSandbox') return '';
  if (action.do === 'resizeContainer') return resizeSetback(action.container.name);
  return action.do === 'startContainer' ? action.container.name : undefined;
};

export const createPodManager = (deps: PodDependencies): PodManager => {
  const { tools, operate, probes } = deps;
  const { clock, cache, client, recorder } = tools;
  const workers = new Map<string, Worker>();
  let synced = false;

  /** What runs, or may: the pods that were admitted, as they were granted. */
  const othersOf = (w: Worker): Pod[] =>
    [...workers.values()].filter((x) => x !== w && x.admitted && !x.refused && !x.gone).map(granted);

  /** Grants a changed spec what it asks for, where the node has it. */
  const grant = (w: Worker): void => {
    const { generation } = w.pod.metadata;
    if (w.grant && w.lookedAt === (generation ?? 0) && !w.pendingResize) return;
    w.grant ??= w.pod.status?.startTime === undefined ? askedOf(w.pod) : grantedBefore(w.pod);
    w.lookedAt = generation ?? 0;
    if (granted(w) === w.pod) {
      delete w.pendingResize;
      return;
    }
    const pending = pendingResize(w.pod, othersOf(w), tools.allocatable());
    if (pending) {
      w.pendingResize = pending;
      if (pending.reason === 'Deferred') wakeAt(w, clock.now() + deferredMs);
    } else {
      delete w.pendingResize;
      w.grant = askedOf(w.pod);
    }
  };

  const observe = (w: Worker): ObservedPod => {
    const uid = w.pod.metadata.uid ?? '';
    const sandboxes = cache.of(uid);
    for (const sandbox of sandboxes) {
      for (const run of sandbox.containers) {
        if (isRunning(run) || w.messages.has(run.id)) continue;
        w.messages.set(run.id, deps.terminationMessage(w.pod, run) ?? '');
      }
    }
    return {
      pod: granted(w),
      gone: w.gone,
      sandboxes,
      probes: probes.results,
      setbacks: w.setbacks,
      busy: w.busy,
      volumesReady: w.volumesReady,
      ...(w.refused && { refused: w.refused }),
      hostIPs: tools.hostIPs(),
      idPrefix: tools.runtime.name === 'hollow' ? 'hollow://' : 'containerd://',
      messages: w.messages,
      resized: w.resized,
      restarting: w.restarting,
      ...(w.pendingResize && { pendingResize: w.pendingResize }),
    };
  };

  let stopped = false;
  const enqueue = (w: Worker): void => {
    if (w.queued || stopped) return;
    w.queued = true;
    setImmediate(() => {
      w.queued = false;
      step(w);
    });
  };
  const wakeAt = (w: Worker, atMs: number): void => {
    if (stopped || (w.timerAt !== undefined && w.timerAt <= atMs)) return;
    w.cancelTimer?.();
    w.timerAt = atMs;
    w.cancelTimer = clock.after(Math.max(atMs - clock.now(), 0), () => {
      delete w.timerAt;
      enqueue(w);
    });
  };

  const writeStatus = async (w: Worker): Promise<void> => {
    if (w.writing || w.gone) return;
    const o = observe(w);
    const now = clock.now();
    const body = statusPatch(w.pod, podStatus(o, decide(o, now), now));
    delete w.owedSince;
    if (!body) return;
    w.writing = true;
    const { namespace = '', name = '', uid } = w.pod.metadata;
    try {
      const next = await client.patch<Pod>(
        resources.pods,
        namespace,
        name,
        { type: 'strategic', body },
        { subresource: 'status' },
      );
      if (next.metadata.uid === uid && newer(next, w.pod)) w.pod = next;
      enqueue(w);
    } catch (error) {
      if (error instanceof StatusError && (error.code === 404 || error.code === 409)) {
        const current = await client.get<Pod>(resources.pods, namespace, name).catch(() => w.pod);
        if (!current || current.metadata.uid !== uid) w.gone = true;
        else if (newer(current, w.pod)) w.pod = current;
      } else deps.onError(`status of ${namespace}/${name}`, error);
      // Not at once: what refused it now would refuse it again.
      wakeAt(w, clock.now() + 1000);
    } finally {
      w.writing = false;
    }
  };

  const fail = (w: Worker, name: string, action: Action, error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error);
    if (action.do === 'resizeContainer') {
      const count = (w.failures.get(name) ?? 0) + 1;
      w.failures.set(name, count);
      w.setbacks.set(name, { reason: 'Error', message, untilMs: clock.now() + Math.min(1000 * 2 ** count, 60_000) });
      recorder.event(w.pod, 'Warning', 'ResizeError', `Error resizing container ${action.container.name}: ${message}`);
      return;
    }
    const sandboxReason = action.do === 'volumes' ? 'FailedMount' : 'FailedCreatePodSandBox';
    const reason = name === '' ? sandboxReason : error instanceof RuntimeError ? error.reason : 'RunContainerError';
    const count = (w.failures.get(name) ?? 0) + 1;
    w.failures.set(name, count);
    const pull = reason === 'ErrImagePull';
    // Sandboxes, volumes and configuration are tried again soon, as kubelet's sync loop does; pulls and crashes back off.
    const delayMs = pull ? failureDelayMs(count) : Math.min(1000 * 2 ** (count - 1), name === '' ? 60_000 : 10_000);
    w.setbacks.set(name, { reason, message, untilMs: clock.now() + delayMs });
    if (!pull) {
      recorder.event(
        w.pod,
        'Warning',
        name === '' ? sandboxReason : 'Failed',
        name === '' ? message : `Error: ${message}`,
      );
      return;
    }
    const image = specContainers(w.pod).find((s) => s.container.name === name)?.container.image;
    recorder.event(w.pod, 'Warning', 'Failed', `Failed to pull image "${image}": ${message}`);
    clock.after(Math.min(3000, delayMs / 2), () => {
      const now = w.setbacks.get(name);
      if (now?.reason !== 'ErrImagePull') return;
      w.setbacks.set(name, {
        ...now,
        reason: 'ImagePullBackOff',
        message: `Back-off pulling image "${image}": ErrImagePull: ${message}`,
      });
      recorder.event(w.pod, 'Normal', 'BackOff', `Back-off pulling image "${image}"`);
      enqueue(w);
    });
  };

  const launch = async (w: Worker, action: Action): Promise<void> => {
    w.busy.add(action.key);
    const name = setbackName(action);
    try {
      // The last status is told before the object goes.
      if (action.do === 'delete') {
        while (w.writing) await clock.sleep(5);
        await writeStatus(w);
      }
      if (action.do === 'stopContainer' && action.resize) w.restarting.add(action.id);
      await operate(granted(w), action);
      if (action.do === 'resizeContainer') w.resized.set(action.id, action.to);
      if (name !== undefined) {
        w.setbacks.delete(name);
        if (action.do !== 'volumes') w.failures.delete(name);
      }
      if (action.do === 'volumes') w.volumesReady = true;
      if (action.do === 'delete') w.gone = true;
      if (action.do === 'clean' && w.gone) w.cleaned = true;
    } catch (error) {
      const lost = action.do === 'delete' && error instanceof StatusError && error.code === 404;
      if (lost) w.gone = true;
      else if (name !== undefined) fail(w, name, action, error);
      else {
        deps.onError(`${action.do} of ${w.pod.metadata.namespace}/${w.pod.metadata.name}`, error);
        await clock.sleep(1000);
      }
    } finally {
      w.busy.delete(action.key);
      enqueue(w);
    }
  };

  const forget = (w: Worker): void => {
    const uid = w.pod.metadata.uid ?? '';
    w.cancelTimer?.();
    probes.drop(uid);
    workers.delete(uid);
    // What it had may be what a resize waits for.
    for (const other of workers.values()) if (other.pendingResize) enqueue(other);
  };

  const noteCrash = (w: Worker, o: ObservedPod): void => {
    for (const { container } of specContainers(w.pod)) {
      const run = runsOf(o.sandboxes, container.name)[0];
      if (!run || isRunning(run) || w.failures.get(`crash:${run.id}`)) continue;
      w.failures.set(`crash:${run.id}`, 1);
      if (run.exitCode === 0 || w.pod.spec?.restartPolicy === 'Never' || w.pod.metadata.deletionTimestamp) continue;
      const { name, namespace, uid } = w.pod.metadata;
      const who = `${name}_${namespace}(${uid})`;
      recorder.event(
        w.pod,
        'Warning',
        'BackOff',
        `Back-off restarting failed container ${container.name} in pod ${who}`,
      );
    }
  };

  const admit = (w: Worker): void => {
    w.admitted = true;
    const settle = (refused: Refusal | undefined): void => {
      if (!refused) return;
      w.refused = refused;
      recorder.event(w.pod, 'Warning', refused.reason, refused.message);
    };
    const started = cache.of(w.pod.metadata.uid ?? '').length > 0 || w.pod.status?.startTime !== undefined;
    const answer = started ? undefined : deps.admit(w.pod, othersOf(w));
    if (!(answer instanceof Promise)) {
      settle(answer);
      return;
    }
    w.admitting = true;
    void answer.then(settle).finally(() => {
      w.admitting = false;
      enqueue(w);
    });
  };

  const step = (w: Worker): void => {
    if (w.cleaned) {
      forget(w);
      return;
    }
    const now = clock.now();
    if (!w.admitted && !w.gone) admit(w);
    if (w.admitting) return;
    if (!w.gone && !w.refused) grant(w);
    const o = observe(w);
    if (!w.gone) probes.sync(w.pod, o.sandboxes);
    noteCrash(w, o);
    const plan = decide(o, now);
    for (const action of plan.actions) if (!w.busy.has(action.key)) void launch(w, action);
    if (plan.againAtMs !== undefined) wakeAt(w, plan.againAtMs);
    if (w.gone || w.writing) return;
    w.owedSince ??= now;
    const starting = w.busy.size > 0;
    if (!starting || now - w.owedSince >= statusDelayMs) void writeStatus(w);
    else wakeAt(w, w.owedSince + statusDelayMs);
  };

  const take = (pod: Pod): void => {
    const uid = pod.metadata.uid ?? '';
    const known = workers.get(uid);
    if (known) {
      if (newer(pod, known.pod)) known.pod = pod;
      enqueue(known);
      return;
    }
    const w = newWorker(pod);
    workers.set(uid, w);
    enqueue(w);
  };
  const lose = (uid: string): void => {
    const w = workers.get(uid);
    if (!w) return;
    w.gone = true;
    enqueue(w);
  };

  /** What the runtime holds and the API does not: pods that were deleted while the agent was away. */
  const takeOrphans = (): void => {
    for (const uid of [...cache.uids()]) {
      const sandbox = cache.of(uid)[0];
      if (workers.has(uid) || !sandbox) continue;
      take({
        metadata: { uid, name: sandbox.name, namespace: sandbox.namespace },
        spec: { containers: [], terminationGracePeriodSeconds: 30 },
      });
      lose(uid);
    }
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    for await (const event of deps.doorbell.follow(signal)) {
      if (event.type === 'put') take(event.object);
      else if (event.type === 'gone') lose(event.object.metadata.uid ?? '');
      else {
        const present = new Set(event.objects.map((pod) => pod.metadata.uid ?? ''));
        for (const pod of event.objects) take(pod);
        for (const uid of workers.keys()) if (!present.has(uid)) lose(uid);
        synced = true;
        takeOrphans();
      }
    }
  };

  const poke = (uid: string): void => {
    const w = workers.get(uid);
    if (w) enqueue(w);
    else if (synced && cache.of(uid).length > 0) takeOrphans();
  };

  return {
    async run(signal) {
      await cache.refresh();
      await Promise.all([follow(signal), cache.run(signal, poke)]);
      stopped = true;
      for (const w of workers.values()) w.cancelTimer?.();
    },
    poke,
    get: (namespace, name) => {
      for (const { pod, gone } of workers.values()) {
        if (!gone && pod.metadata.name === name && pod.metadata.namespace === namespace) return pod;
      }
      return undefined;
    },
    all: () => [...workers.values()].filter((w) => !w.gone).map((w) => w.pod),
  };
};
