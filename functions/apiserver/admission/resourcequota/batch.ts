// Charges the writes of a namespace that wait together: one conditional write per quota, however many they are.
import type { ResourceQuota } from '../../../machinery/kinds.d.ts';
import type { Amounts } from '../../../machinery/quota/amounts.ts';
import { evaluate, type Measured } from './evaluate.ts';
import { charged, type HeldQuota, type Ledger, type Note } from './ledger.ts';

/** What a write was charged, by the quota's key; empty when no quota counts it. */
export type Charges = Map<string, Amounts>;

/** How a write ends: refused, or charged under a note that goes when the write is over. */
export type Charged = { ok: false; why: string } | { ok: true; charges: Charges; note?: Note };

/** Every attempt loses against other processes only, which each win then. */
const attemptsMax = 50;

export interface Waiting extends Measured {
  id: string;
  /** Checked and not charged. */
  dryRun: boolean;
}

interface Entry {
  write: Waiting;
  charges: Charges;
  note?: Note;
  refused?: string;
}

const judge = (entries: readonly Entry[], quotas: readonly HeldQuota[], now: number): Map<string, HeldQuota> => {
  const state = new Map<string, HeldQuota>(quotas.map((one) => [one.key, one]));
  const keyOf = new Map<ResourceQuota, string>();
  for (const entry of entries) {
    if (entry.refused !== undefined) continue;
    keyOf.clear();
    for (const { key, quota } of state.values()) keyOf.set(quota, key);
    const verdict = evaluate([...keyOf.keys()], entry.write, now);
    if (!verdict.ok) {
      entry.refused = verdict.why;
      continue;
    }
    if (entry.write.dryRun) continue;
    for (const { quota, amounts } of verdict.charges) {
      const key = keyOf.get(quota) as string;
      const before = state.get(key) as HeldQuota;
      entry.charges.set(key, amounts);
      const status = { ...quota.status, used: charged(before, amounts) };
      state.set(key, { ...before, quota: { ...quota, status } });
    }
  }
  return state;
};

const stands = (entry: Entry): boolean => entry.refused === undefined && entry.charges.size > 0;

/** Notes, then charges: whoever sees a charge and no note finds the object stored. */
const noted = async (ledger: Ledger, namespace: string, entries: readonly Entry[]): Promise<void> => {
  const names = (entry: Entry) => [...entry.charges.keys()].map((key) => key.slice(namespace.length + 1));
  const ids = entries.map((entry) => ({ id: entry.write.id, quotas: names(entry) }));
  const notes = await ledger.note(namespace, ids);
  for (const [i, entry] of entries.entries()) {
    const note = notes[i];
    if (note) entry.note = note;
    else entry.refused = 'the charge could not be noted; please try again';
  }
};

/** Takes back what a refused write was charged, then its note. */
export const undo = async (ledger: Ledger, charges: Charges, note: Note | undefined): Promise<void> => {
  await ledger.refund([...charges].map(([key, amounts]) => ({ key, amounts })));
  if (note) await ledger.forget([note]);
};

/**
 * Judges and charges. A quota that another process wrote meanwhile is read anew and judged anew, so that what is charged
 * never exceeds what was allowed, whatever the concurrency.
 */
export const charge = async (
  ledger: Ledger,
  namespace: string,
  quotas: readonly HeldQuota[],
  writes: readonly Waiting[],
  now: number,
): Promise<Charged[]> => {
  const entries: Entry[] = writes.map((write) => ({ write, charges: new Map() }));
  let open: readonly HeldQuota[] = quotas;
  /** What each entry has been charged for certain. */
  const settled = new Map<Entry, Charges>(entries.map((entry) => [entry, new Map()]));
  for (let attempt = 0; ; attempt++) {
    const state = judge(entries, open, now);
    const standing = entries.filter(stands);
    if (attempt === 0 && standing.length > 0) await noted(ledger, namespace, standing);
    const changed = open.filter((one) =>
      standing.some((entry) => entry.refused === undefined && entry.charges.has(one.key)),
    );
    const changes = changed.map((one) => ({ held: one, used: state.get(one.key)?.quota.status?.used as Amounts }));
    if (changes.length === 0) break;
    const outcomes = await ledger.write(changes);
    const lost: string[] = [];
    for (const [i, one] of changed.entries()) {
      if (outcomes[i] === 'lost') lost.push(one.key);
      for (const entry of standing) {
        const amounts = entry.charges.get(one.key);
        if (!amounts) continue;
        entry.charges.delete(one.key);
        if (outcomes[i] !== 'lost') settled.get(entry)?.set(one.key, amounts);
      }
    }
    if (lost.length === 0) break;
    if (attempt >= attemptsMax) {
      for (const entry of standing) entry.refused ??= 'the quota changes too fast; please try again';
      break;
    }
    open = (await Promise.all(lost.map((key) => ledger.read(key)))).filter((one) => one !== undefined);
  }
  return finish(ledger, entries, settled);
};

const finish = async (
  ledger: Ledger,
  entries: readonly Entry[],
  settled: ReadonlyMap<Entry, Charges>,
): Promise<Charged[]> => {
  const out: Charged[] = [];
  for (const entry of entries) {
    const charges = settled.get(entry) ?? new Map();
    if (entry.refused === undefined) {
      out.push({ ok: true, charges, ...(entry.note && { note: entry.note }) });
      continue;
    }
    await undo(ledger, charges, entry.note);
    out.push({ ok: false, why: entry.refused });
  }
  return out;
};
