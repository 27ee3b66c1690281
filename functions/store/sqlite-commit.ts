import { entryKind, type WriteBatch } from './sqlite-protocol.ts';
import { applyChange, rollback, step, type Table } from './sqlite-table.ts';
import type { Change, Domain, Outcome, Write } from './store.ts';

interface Caller {
  outcomes: Outcome[];
  resolve(outcomes: Outcome[]): void;
  reject(error: Error): void;
}
interface Batch {
  seq: number;
  tables: Table[];
  changes: Change[];
  callers: Caller[];
}

/** Group commit: writes join the open batch; one batch or two are with the thread, the others' writers wait together. */
export interface GroupCommit {
  commit(table: Table, writes: Write[]): Promise<Outcome[]>;
  /** Everything up to this batch is durable. */
  written(seq: number): void;
  /** Nothing of what waits was stored. */
  failed(full: boolean, message: string): void;
  /** Resolves when nothing waits. */
  idle(): Promise<void>;
}

/** Batches with the thread at once: while it syncs one, the next is there already. */
const sentMax = 2;

const pack = (batch: Batch, epoch: number): { message: WriteBatch; transfer: ArrayBuffer[] } => {
  const domains = new Map<string, number>();
  const n = batch.changes.length;
  let total = 0;
  for (const { stored } of batch.changes) total += stored.bytes.byteLength;
  const bytes = new Uint8Array(total);
  const message: WriteBatch = {
    type: 'write',
    seq: batch.seq,
    epoch,
    domains: [],
    domain: new Uint32Array(n),
    revisions: new Float64Array(n),
    kinds: new Uint8Array(n),
    keys: [],
    indexes: [],
    ends: new Float64Array(n),
    bytes,
  };
  let end = 0;
  for (let i = 0; i < n; i++) {
    const change = batch.changes[i];
    const name = batch.tables[i]?.name ?? '';
    if (!change) continue;
    let at = domains.get(name);
    if (at === undefined) {
      at = message.domains.push(name) - 1;
      domains.set(name, at);
    }
    const { stored } = change;
    bytes.set(stored.bytes, end);
    end += stored.bytes.byteLength;
    message.domain[i] = at;
    message.revisions[i] = Number(stored.revision);
    message.kinds[i] =
      change.type === 'delete' ? entryKind.delete : change.previous ? entryKind.update : entryKind.create;
    message.keys.push(stored.key);
    message.indexes.push(JSON.stringify(stored.index));
    message.ends[i] = end;
  }
  return { message, transfer: [bytes.buffer] };
};

/** Makes a durable batch visible; calls `publish` once for each run of changes of one domain. */
const settle = (batch: Batch, publish: (table: Table, changes: Change[]) => void): void => {
  let from = 0;
  batch.changes.forEach((change, i) => {
    const table = batch.tables[i];
    if (!table) return;
    applyChange(table, change);
    if (batch.tables[i + 1] === table) return;
    publish(table, batch.changes.slice(from, i + 1));
    from = i + 1;
  });
  for (const { resolve, outcomes } of batch.callers) resolve(outcomes);
};

export const createGroupCommit = (
  send: (message: WriteBatch, transfer: ArrayBuffer[]) => void,
  publish: (domain: Domain, table: Table, changes: Change[]) => void,
): GroupCommit => {
  const emptyBatch = (seq: number): Batch => ({ seq, tables: [], changes: [], callers: [] });
  const sent: Batch[] = [];
  let open = emptyBatch(1);
  let epoch = 0;
  let scheduled = false;
  let idlers: (() => void)[] = [];

  const flush = (): void => {
    scheduled = false;
    if (open.changes.length === 0 || sent.length >= sentMax) return;
    const batch = open;
    open = emptyBatch(batch.seq + 1);
    sent.push(batch);
    const { message, transfer } = pack(batch, epoch);
    send(message, transfer);
  };
  const schedule = (): void => {
    if (scheduled || sent.length >= sentMax) return;
    scheduled = true;
    setImmediate(flush);
  };
  const rest = (): void => {
    if (sent.length > 0 || open.changes.length > 0) return;
    for (const resolve of idlers) resolve();
    idlers = [];
  };

  return {
    commit: (table, writes) => {
      const outcomes: Outcome[] = [];
      let waits = false;
      let failure: unknown;
      for (const write of writes) {
        try {
          const result = step(table, write);
          outcomes.push(result.outcome);
          waits ||= result.waits;
          if (!result.change) continue;
          open.changes.push(result.change);
          open.tables.push(table);
        } catch (error) {
          failure = error ?? new Error('a write could not be serialised');
          break;
        }
      }
      if (open.changes.length > 0) schedule();
      if (failure) return Promise.reject(failure);
      if (!waits) return Promise.resolve(outcomes);
      const batch = open.changes.length > 0 ? open : (sent.at(-1) ?? open);
      return new Promise((resolve, reject) => {
        batch.callers.push({ outcomes, resolve, reject });
      });
    },
    written: (seq) => {
      while (sent[0] && sent[0].seq <= seq) {
        const batch = sent.shift();
        if (batch) settle(batch, (table, changes) => publish(table.domain, table, changes));
      }
      if (open.changes.length > 0) schedule();
      rest();
    },
    failed: (full, message) => {
      epoch++;
      const lost = [...sent.splice(0), open];
      open = emptyBatch(open.seq + 1);
      for (const batch of lost) for (const table of batch.tables) rollback(table);
      for (const { outcomes, resolve, reject } of lost.flatMap((batch) => batch.callers)) {
        if (full) resolve(outcomes.map((o) => (refusedForItself(o) ? o : { ok: false, reason: 'full', message })));
        else reject(new Error(`the store could not write: ${message}`));
      }
      rest();
    },
    idle: () =>
      sent.length === 0 && open.changes.length === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            idlers.push(resolve);
          }),
  };
};

const refusedForItself = (outcome: Outcome): boolean => !outcome.ok && outcome.reason === 'too-large';
