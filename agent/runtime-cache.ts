import type { Clock } from '../functions/clock/clock.ts';
import type { Container, Runtime, Sandbox } from './runtime/runtime.ts';

/**
 * The last known state of the runtime, by pod uid: one listing serves every worker that waits for one, and results of
 * own operations are put in directly. A listing that began before such a put does not overwrite it.
 */
export interface RuntimeCache {
  of(uid: string): Sandbox[];
  uids(): Iterable<string>;
  container(id: string): { sandbox: Sandbox; container: Container } | undefined;
  putSandbox(sandbox: Sandbox): void;
  putContainer(sandboxId: string, container: Container): void;
  dropSandbox(id: string): void;
  dropContainer(id: string): void;
  /** Resolves once a listing that began after this call is in. */
  refresh(): Promise<void>;
  /** Follows the runtime's events and relists every `relistMs`; tells which pods changed. */
  run(signal: AbortSignal, onChange: (uid: string) => void): Promise<void>;
}

const signature = (sandboxes: Sandbox[]): string =>
  sandboxes.map((s) => `${s.id}${s.ready}${s.containers.map((c) => c.id + c.state).join()}`).join('|');

export const createRuntimeCache = (runtime: Runtime, clock: Clock, relistMs: number): RuntimeCache => {
  let byUid = new Map<string, Sandbox[]>();
  const touched = new Map<string, number>();
  let sequence = 0;
  let current: Promise<void> | undefined;
  let following: Promise<void> | undefined;
  let changed: (uid: string) => void = () => {};

  const find = (sandboxId: string): Sandbox | undefined => {
    for (const list of byUid.values()) for (const s of list) if (s.id === sandboxId) return s;
    return undefined;
  };
  const put = (sandbox: Sandbox): void => {
    touched.set(sandbox.id, ++sequence);
    const others = (byUid.get(sandbox.uid) ?? []).filter((s) => s.id !== sandbox.id);
    byUid.set(sandbox.uid, [...others, sandbox]);
  };
  const listOnce = async (): Promise<void> => {
    const began = sequence;
    const listed = await runtime.sandboxes();
    const next = new Map<string, Sandbox[]>();
    const add = (s: Sandbox) => next.set(s.uid, [...(next.get(s.uid) ?? []), s]);
    const newer = (id: string) => (touched.get(id) ?? 0) > began;
    for (const s of listed) if (!newer(s.id)) add(s);
    for (const list of byUid.values()) for (const s of list) if (newer(s.id)) add(s);
    const before = byUid;
    byUid = next;
    for (const [id, at] of touched) if (at <= began) touched.delete(id);
    for (const uid of new Set([...before.keys(), ...next.keys()])) {
      if (signature(before.get(uid) ?? []) !== signature(next.get(uid) ?? [])) changed(uid);
    }
  };
  const refresh = (): Promise<void> => {
    if (!current) {
      current = listOnce().finally(() => {
        current = undefined;
      });
      return current;
    }
    following ??= current
      .catch(() => {})
      .then(() => {
        following = undefined;
        return refresh();
      });
    return following;
  };

  return {
    of: (uid) => byUid.get(uid) ?? [],
    uids: () => byUid.keys(),
    container(id) {
      for (const list of byUid.values()) {
        for (const sandbox of list) {
          const container = sandbox.containers.find((c) => c.id === id);
          if (container) return { sandbox, container };
        }
      }
      return undefined;
    },
    putSandbox: put,
    putContainer(sandboxId, container) {
      const sandbox = find(sandboxId);
      if (!sandbox) return;
      put({ ...sandbox, containers: [...sandbox.containers.filter((c) => c.id !== container.id), container] });
    },
    dropSandbox(id) {
      touched.set(id, ++sequence);
      for (const [uid, list] of byUid) {
        if (!list.some((s) => s.id === id)) continue;
        const rest = list.filter((s) => s.id !== id);
        if (rest.length > 0) byUid.set(uid, rest);
        else byUid.delete(uid);
      }
    },
    dropContainer(id) {
      for (const list of [...byUid.values()]) {
        for (const s of list) {
          if (s.containers.some((c) => c.id === id)) put({ ...s, containers: s.containers.filter((c) => c.id !== id) });
        }
      }
    },
    refresh,
    async run(signal, onChange) {
      changed = onChange;
      const relist = async () => {
        while (!signal.aborted) {
          await clock.sleep(relistMs, signal).catch(() => {});
          if (!signal.aborted) await refresh().catch(() => {});
        }
      };
      const events = async () => {
        while (!signal.aborted) {
          try {
            for await (const _event of runtime.events(signal)) refresh().catch(() => {});
          } catch {}
          await clock.sleep(1000, signal).catch(() => {});
        }
      };
      await Promise.all([relist(), events()]);
    },
  };
};
