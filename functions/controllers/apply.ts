import type { Client } from '../client/client.ts';
import type { GroupResource, KubeObject, ObjectKey } from '../machinery/object.ts';
import { StatusError } from '../machinery/status.ts';
import type { EventDraft, PlannedWrite, Refusal } from './controller.ts';

export interface ApplyHooks {
  record(draft: EventDraft | undefined): void;
  wrote(resource: GroupResource, object: KubeObject): void;
  removed(resource: GroupResource, target: ObjectKey, uid: string): void;
}

export interface Applied {
  /** A write found that what it believed no longer holds; nothing after its group was tried. */
  lost: boolean;
  written: number;
  refusals: Refusal[];
}

/** Writes of one group that are under way at the same time, at most. */
const concurrencyMax = 64;

type Outcome = 'written' | 'lost' | 'skipped' | { refusal: Refusal };

/**
 * Applies the writes of a plan. Neighbours of one operation and resource type go side by side; creates in batches of 1,
 * 2, 4, ... so that a quota that refuses all of them is asked a few times and not a thousand (upstream's slow start). A
 * refused group stops the groups after it; the plan's `refused` says what to write instead.
 */
export const applyWrites = async (
  client: Client,
  writes: readonly PlannedWrite[],
  hooks: ApplyHooks,
): Promise<Applied> => {
  const applied: Applied = { lost: false, written: 0, refusals: [] };
  for (let start = 0; start < writes.length && !applied.lost && applied.refusals.length === 0; ) {
    let end = start + 1;
    while (end < writes.length && sameGroup(writes[start], writes[end])) end++;
    await applyGroup(client, writes.slice(start, end), hooks, applied);
    start = end;
  }
  return applied;
};

const sameGroup = (a: PlannedWrite | undefined, b: PlannedWrite | undefined): boolean =>
  a !== undefined &&
  b !== undefined &&
  a.op === b.op &&
  a.resource.resource === b.resource.resource &&
  a.resource.group === b.resource.group;

const applyGroup = async (client: Client, group: PlannedWrite[], hooks: ApplyHooks, applied: Applied) => {
  const slow = group[0]?.op === 'create';
  let size = slow ? 1 : concurrencyMax;
  for (let start = 0; start < group.length; ) {
    const batch = group.slice(start, start + size);
    for (const outcome of await Promise.all(batch.map((write) => applyOne(client, write, hooks)))) {
      if (outcome === 'written') applied.written++;
      else if (outcome === 'lost') applied.lost = true;
      else if (outcome !== 'skipped') applied.refusals.push(outcome.refusal);
    }
    if (applied.lost || applied.refusals.length > 0) return;
    start += size;
    size = Math.min(size * 2, concurrencyMax);
  }
};

const applyOne = async (client: Client, write: PlannedWrite, hooks: ApplyHooks): Promise<Outcome> => {
  try {
    const result = await perform(client, write);
    if (result) hooks.wrote(write.resource, result);
    if (write.op === 'delete') hooks.removed(write.resource, write.target, write.expects.uid);
    if (write.done) hooks.record(write.done(result ?? { metadata: {} }));
    return 'written';
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    if (write.op === 'create' && error.reason === 'AlreadyExists' && write.onExists === 'ignore') return 'skipped';
    if (write.op === 'delete' && error.code === 404) return 'skipped';
    if (error.code === 409 || error.code === 404) return 'lost';
    if (write.failed) hooks.record(write.failed(error.status));
    return { refusal: { write, status: error.status } };
  }
};

const perform = (client: Client, write: PlannedWrite): Promise<KubeObject | undefined> => {
  switch (write.op) {
    case 'create':
      return client.create(write.resource, write.object);
    case 'update':
      return client.update(write.resource, write.object, write.subresource && { subresource: write.subresource });
    case 'patch': {
      const metadata = { ...(write.merge.metadata as object | undefined), ...write.expects };
      const body = { ...write.merge, metadata };
      const { namespace, name } = write.target;
      return client.patch(
        write.resource,
        namespace,
        name,
        { type: 'merge', body },
        write.subresource && { subresource: write.subresource },
      );
    }
    case 'delete':
      return client.delete(write.resource, write.target.namespace, write.target.name, {
        ...write.expects,
        ...(write.propagation && { propagationPolicy: write.propagation }),
        ...(write.gracePeriodSeconds !== undefined && { gracePeriodSeconds: write.gracePeriodSeconds }),
      });
  }
};
