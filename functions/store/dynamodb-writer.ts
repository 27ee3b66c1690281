import type { AttributeValue, TransactWriteItem } from '@aws-sdk/client-dynamodb';
import type { Clock } from '../clock/clock.ts';
import type { Dynamo, Refusal } from './dynamodb-client.ts';
import { nameOf, Throttled, Uncertain } from './dynamodb-client.ts';
import type { Heads } from './dynamodb-head.ts';
import {
  type Head,
  headKey,
  type Item,
  isOf,
  isTombstone,
  logKey,
  number,
  objectKey,
  packIndex,
  partKey,
  partsOf,
  readHead,
  readObject,
  voidEntry,
} from './dynamodb-items.ts';
import { type Chain, type Known, type Pending, planBatch, ticketsNeeded } from './dynamodb-plan.ts';
import type { Domain, Revision } from './store.ts';

export interface WriterOptions {
  dynamo: Dynamo;
  heads: Heads;
  clock: Clock;
  /** Names this process in log entries: a lost reply is told from a fence by it. */
  writer: string;
  /** How long one batch is tried, in milliseconds; then its writes are 'throttled'. */
  commitMsMax: number;
  /** A ticket older than this is not used any more, in milliseconds. */
  ticketMsMax: number;
  /** How long log entries stay, in milliseconds. */
  retentionMs: number;
  /** When a void or tombstone put now may expire, in seconds since the epoch. */
  voidUntil: () => number;
}

/** A ticket, and when it was taken. */
interface Taken {
  revision: Revision;
  at: number;
}

/** Bounds of one transaction, below DynamoDB's 100 items and 4 MB. */
const itemsMax = 96;
const bytesMax = 3_600_000;

interface Transaction {
  chains: Chain[];
  items: TransactWriteItem[];
  /** Which chain each item belongs to. */
  owners: Chain[];
  bytes: number;
}

/** A part that an item names is not there: the item went since it was read, or the table is damaged. */
export class PartMissing extends Error {
  override name = 'PartMissing';
}

/** The object of an item with its parts. An item whose parts went since it was read is read again. */
export const readWhole = async (dynamo: Dynamo, domain: Domain, item: Item): Promise<Known | undefined> => {
  let now: Item | undefined = item;
  for (let before: bigint | undefined; now; ) {
    const revision: bigint = number(now, 'r') ?? 0n;
    const parts = partsOf(now);
    if (isTombstone(now)) return { revision, parts };
    try {
      return { revision, parts, stored: readObject(now, await readParts(dynamo, domain, revision, parts)) };
    } catch (error) {
      if (!(error instanceof PartMissing)) throw error;
      // The same item without its parts: the domain is being dropped, or the table is damaged.
      if (before === revision) {
        const head = await dynamo.get(headKey(domain));
        if (!head || readHead(head).closed) return undefined;
        throw error;
      }
      before = revision;
      now = await dynamo.get(objectKey(domain, now.sk?.S ?? ''));
    }
  }
  return undefined;
};

/** Reads objects with their parts, consistently. */
export const readKnown = async (
  dynamo: Dynamo,
  domain: Domain,
  keys: readonly string[],
): Promise<Map<string, Known>> => {
  const items = await dynamo.getAll(keys.map((key) => objectKey(domain, key)));
  const known = new Map<string, Known>();
  await Promise.all(
    [...items.values()].map(async (item) => {
      const one = await readWhole(dynamo, domain, item);
      if (one) known.set(item.sk?.S ?? '', one);
    }),
  );
  return known;
};

/** Parts outlive the item that names them by the log's retention; one that is missing means damage. */
export const readParts = async (
  dynamo: Dynamo,
  domain: Domain,
  revision: Revision,
  count: number,
): Promise<Uint8Array[]> => {
  if (count === 0) return [];
  const keys = Array.from({ length: count }, (_, i) => partKey(domain, revision, i));
  const found = await dynamo.getAll(keys);
  return keys.map((key) => {
    const part = found.get(nameOf(key))?.v?.B;
    if (!part) throw new PartMissing(`part ${key.sk.S} of ${key.pk.S} is gone`);
    return part;
  });
};

/** Runs one batch of one domain to its end: reads, takes tickets, commits, and again for what lost a race. */
export const createWriter = (options: WriterOptions) => {
  const { dynamo, heads, clock, writer, commitMsMax, ticketMsMax, retentionMs, voidUntil } = options;
  const background = new Set<Promise<void>>();
  const ttlAttribute = (): AttributeValue => ({ N: `${Math.ceil((clock.now() + retentionMs) / 1000)}` });

  /** Puts a void so that no reader waits for a ticket; readers do it otherwise, so nobody waits for this. */
  const giveUp = (domain: Domain, head: Head, revisions: readonly Revision[]): void => {
    for (const revision of revisions) {
      const work = settleTicket(domain, head, revision)
        .then(() => undefined)
        .catch(() => undefined);
      background.add(work);
      work.finally(() => background.delete(work));
    }
  };
  /** Decides the fate of a ticket of ours: true when its transaction happened, false when it never will. */
  const settleTicket = async (domain: Domain, head: Head, revision: Revision): Promise<boolean> => {
    const at = logKey(domain, head, revision);
    const put = await dynamo.put({
      Item: voidEntry(at, revision, writer, voidUntil()),
      ConditionExpression: 'attribute_not_exists(pk)',
    });
    return !put.ok && put.item !== undefined && isOf(put.item, writer);
  };

  /**
   * As settleTicket; what keeps it from deciding is not taken for "surely not done". Nor is a void after so long a time that
   * the entry may have been there and have expired.
   */
  const settled = async (domain: Domain, head: Head, taken: Taken, cause?: Error): Promise<boolean> => {
    const unknown = (why: unknown) =>
      new Error(`nobody knows whether revision ${taken.revision} was written`, { cause: cause ?? why });
    let happened: boolean;
    try {
      happened = await settleTicket(domain, head, taken.revision);
    } catch (error) {
      throw unknown(error);
    }
    if (!happened && clock.now() - taken.at > retentionMs / 2) throw unknown(undefined);
    return happened;
  };

  const objectItem = (domain: Domain, chain: Chain, ticket: Revision): TransactWriteItem => {
    const last = chain.steps.at(-1);
    if (!last) throw new Error('a chain without a step');
    const base = { ...objectKey(domain, chain.key), r: { N: `${last.stored.revision}` } };
    const item: Item =
      last.type === 'delete'
        ? { ...base, d: { BOOL: true }, ttl: { N: `${voidUntil()}` } }
        : { ...base, ...last.packed.attributes };
    const expected = chain.before.stored;
    return {
      Put: {
        TableName: '',
        Item: item,
        ...(expected
          ? {
              ConditionExpression: 'r = :e AND attribute_not_exists(d)',
              ExpressionAttributeValues: { ':e': { N: `${expected.revision}` } },
            }
          : {
              ConditionExpression: 'attribute_not_exists(pk) OR (attribute_exists(d) AND r < :t)',
              ExpressionAttributeValues: { ':t': { N: `${ticket}` } },
            }),
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      },
    };
  };

  /** The items of one chain: the object, its log entries, their parts, and an end for the parts it replaces. */
  const itemsOf = (domain: Domain, head: Head, chain: Chain): TransactWriteItem[] => {
    const first = chain.steps[0];
    if (!first) return [];
    const items: TransactWriteItem[] = [objectItem(domain, chain, first.stored.revision)];
    const ttl = ttlAttribute();
    for (const [i, step] of chain.steps.entries()) {
      const { revision } = step.stored;
      const entry: Item = {
        ...logKey(domain, head, revision),
        t: { S: step.type },
        k: { S: chain.key },
        r: { N: `${revision}` },
        w: { S: writer },
        ttl,
        ...step.packed.attributes,
        ...(step.previousIndex ? packIndex(step.previousIndex) : {}),
      };
      items.push({
        Put: {
          TableName: '',
          Item: entry,
          ConditionExpression: 'attribute_not_exists(pk)',
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        },
      });
      const stays = i === chain.steps.length - 1 && step.type === 'put';
      for (const [n, part] of step.packed.parts.entries()) {
        const item: Item = { ...partKey(domain, revision, n), v: { B: part }, ...(stays ? {} : { ttl }) };
        items.push({ Put: { TableName: '', Item: item } });
      }
    }
    for (let n = 0; n < chain.before.parts; n++)
      items.push({
        Update: {
          TableName: '',
          Key: { ...partKey(domain, chain.before.revision, n) },
          UpdateExpression: 'SET #ttl = :ttl',
          // A reserved word.
          ExpressionAttributeNames: { '#ttl': 'ttl' },
          ExpressionAttributeValues: { ':ttl': ttl },
        },
      });
    return items;
  };

  const transactionsOf = (domain: Domain, head: Head, chains: readonly Chain[]): Transaction[] => {
    const all: Transaction[] = [];
    for (const chain of chains) {
      const items = itemsOf(domain, head, chain);
      // Inline values stand in the object and in its entry.
      const bytes = chain.steps.reduce((sum, step) => sum + step.packed.bytes * 2 + 2000, 0);
      let into = all.find((t) => t.items.length + items.length <= itemsMax && t.bytes + bytes <= bytesMax);
      if (!into) {
        into = { chains: [], items: [], owners: [], bytes: 0 };
        all.push(into);
      }
      into.chains.push(chain);
      into.items.push(...items);
      for (const _ of items) into.owners.push(chain);
      into.bytes += bytes;
    }
    return all;
  };

  /** A refused entry that is ours means that an earlier attempt happened and its reply was lost. */
  const happened = (refusals: readonly Refusal[]): boolean =>
    refusals.some(({ code, item }) => code === 'ConditionalCheckFailed' && item?.t !== undefined && isOf(item, writer));

  /** Commits what it can of one transaction; returns the chains that must be planned again. */
  const run = async (
    domain: Domain,
    head: Head,
    transaction: Transaction,
    ticketAt: number,
    deadline: number,
  ): Promise<Chain[]> => {
    const usable = () => clock.now() - ticketAt < ticketMsMax;
    const tickets = (chains: readonly Chain[]) => chains.flatMap(({ steps }) => steps.map((s) => s.stored.revision));
    const again: Chain[] = [];
    let { chains, items, owners } = transaction;
    while (chains.length > 0) {
      const first = tickets(chains)[0] ?? 0n;
      try {
        const result = await dynamo.transact(items, deadline, usable);
        if (result.done || happened(result.refusals)) return again;
        if (result.refusals.length === 0) {
          // Its tickets grew too old while replies were lost: the void decides.
          if (await settled(domain, head, { revision: first, at: ticketAt })) return again;
          giveUp(domain, head, tickets(chains).slice(1));
          return [...again, ...chains];
        }
        // An attempt that was not answered may still happen, as a whole: the void decides before anything else is told.
        if (result.uncertain && (await settled(domain, head, { revision: first, at: ticketAt }))) return again;
        const bad = new Set<Chain>();
        result.refusals.forEach(({ code }, i) => {
          const owner = owners[i];
          if (code === 'ConditionalCheckFailed' && owner) bad.add(owner);
        });
        giveUp(domain, head, tickets([...bad]));
        again.push(...bad);
        const kept = owners.map((owner) => !bad.has(owner));
        chains = chains.filter((chain) => !bad.has(chain));
        items = items.filter((_, i) => kept[i]);
        owners = owners.filter((_, i) => kept[i]);
      } catch (error) {
        if (!(error instanceof Uncertain)) {
          giveUp(domain, head, tickets(chains));
          throw error;
        }
        // An attempt may have happened: the void decides, and if it cannot be put nobody knows.
        if (await settled(domain, head, { revision: first, at: ticketAt }, error)) return again;
        giveUp(domain, head, tickets(chains).slice(1));
        throw new Throttled(`the table does not answer: ${error.message}`, { cause: error });
      }
    }
    return again;
  };

  const finish = (chains: readonly Chain[]): void => {
    for (const { outcomes } of chains)
      for (const { pending, outcome } of outcomes) pending.call.outcomes[pending.at] = outcome;
  };

  /** One round of a batch: what remains of it. */
  const round = async (
    domain: Domain,
    batch: readonly Pending[],
    view: ReadonlyMap<string, Known>,
    deadline: number,
  ): Promise<{ rest: Pending[]; throttled?: Throttled }> => {
    const needed = ticketsNeeded(batch, view);
    if (needed === 0) {
      finish(planBatch(batch, view, 0n, 0).chains);
      return { rest: [] };
    }
    const ticketAt = clock.now();
    const { head, first } = await heads.take(domain, needed, deadline);
    const plan = planBatch(batch, view, first, needed);
    giveUp(domain, head, plan.unused);
    const changing = plan.chains.filter((chain) => chain.steps.length > 0);
    finish(plan.chains.filter((chain) => chain.steps.length === 0));
    const failed = new Set<Chain>();
    let failure: unknown;
    const runs = transactionsOf(domain, head, changing).map(async (transaction) => {
      try {
        const again = new Set(await run(domain, head, transaction, ticketAt, deadline));
        for (const chain of again) failed.add(chain);
        finish(transaction.chains.filter((chain) => !again.has(chain)));
      } catch (error) {
        for (const chain of transaction.chains) failed.add(chain);
        failure = error;
      }
    });
    await Promise.all(runs);
    const rest = [...failed].flatMap((chain) => chain.outcomes.map(({ pending }) => pending));
    if (failure !== undefined && !(failure instanceof Throttled)) throw failure;
    const order = new Set([...rest, ...plan.deferred]);
    return {
      rest: batch.filter((pending) => order.has(pending)),
      ...(failure ? { throttled: failure as Throttled } : {}),
    };
  };

  return {
    /** Sets the outcome of every write; throws when the table fails, and then the fate of those without is unknown. */
    commit: async (domain: Domain, batch: readonly Pending[]): Promise<void> => {
      const deadline = clock.now() + commitMsMax;
      let rest = [...batch];
      for (let attempt = 0; rest.length > 0; attempt++) {
        if (attempt > 0) await clock.sleep(clock.random() * Math.min(200, 5 * 2 ** attempt));
        let throttled: Throttled | undefined;
        try {
          const view = await readKnown(dynamo, domain, [...new Set(rest.map(({ write }) => write.key))]);
          ({ rest, throttled } = await round(domain, rest, view, deadline));
        } catch (error) {
          if (!(error instanceof Throttled)) throw error;
          throttled = error;
        }
        if (clock.now() >= deadline)
          throttled ??= new Throttled('other writers of the same objects came first, again and again');
        if (!throttled) continue;
        for (const { call, at } of rest)
          call.outcomes[at] = { ok: false, reason: 'throttled', message: throttled.message };
        return;
      }
    },
    /** Waits for voids under way. */
    close: async (): Promise<void> => {
      await Promise.all(background);
    },
  };
};
