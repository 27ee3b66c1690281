import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  type PutItemCommandInput,
  QueryCommand,
  type QueryCommandInput,
  type ServiceOutputTypes,
  TransactGetItemsCommand,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from '@aws-sdk/client-dynamodb';
import type { Clock } from '../clock/clock.ts';
import type { Item, Key } from './dynamodb-items.ts';

/** What the store needs of DynamoDBClient: one method, so that a simulation can stand in. */
export interface DynamoSender {
  send(command: DynamoCommand): Promise<ServiceOutputTypes>;
  destroy?(): void;
}
export type DynamoCommand =
  | GetItemCommand
  | BatchGetItemCommand
  | QueryCommand
  | PutItemCommand
  | UpdateItemCommand
  | TransactGetItemsCommand
  | TransactWriteItemsCommand
  | BatchWriteItemCommand
  | DeleteItemCommand;

/** How one item of a cancelled transaction failed, with the item as it is. */
export interface Refusal {
  code: string;
  item?: Item;
}

/** The deadline passed while the table refused for its load: nothing of the request was done. */
export class Throttled extends Error {
  override name = 'Throttled';
}

interface Fault {
  kind: 'condition' | 'cancelled' | 'throttled' | 'conflict' | 'lost' | 'fatal';
  refusals: Refusal[];
  item?: Item;
}

const throttles = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'RequestLimitExceeded',
  'ThrottlingError',
  'ProvisionedThroughputExceeded',
  'LimitExceededException',
]);
const conflicts = new Set(['TransactionConflictException', 'TransactionConflict', 'TransactionInProgressException']);

const faultOf = (error: unknown): Fault => {
  const {
    name = '',
    CancellationReasons,
    Item,
    $metadata,
    $fault,
  } = error as {
    name?: string;
    CancellationReasons?: { Code?: string; Item?: Item }[];
    Item?: Item;
    $metadata?: { httpStatusCode?: number };
    $fault?: string;
  };
  const refusals = (CancellationReasons ?? []).map(({ Code = 'None', Item: item }) => ({
    code: Code,
    ...(item ? { item } : {}),
  }));
  if (name === 'ConditionalCheckFailedException')
    return { kind: 'condition', refusals, ...(Item ? { item: Item } : {}) };
  if (name === 'TransactionCanceledException') {
    if (refusals.some(({ code }) => code === 'ConditionalCheckFailed')) return { kind: 'cancelled', refusals };
    if (refusals.some(({ code }) => throttles.has(code))) return { kind: 'throttled', refusals };
    return { kind: refusals.some(({ code }) => conflicts.has(code)) ? 'conflict' : 'fatal', refusals };
  }
  if (throttles.has(name)) return { kind: 'throttled', refusals };
  if (conflicts.has(name)) return { kind: 'conflict', refusals };
  const status = $metadata?.httpStatusCode;
  const refused = $fault === 'client' && status !== undefined && status >= 400 && status < 500;
  const local = error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError;
  return { kind: refused || local ? 'fatal' : 'lost', refusals };
};

/** The deadline passed after a reply was lost: the transaction may have happened. */
export class Uncertain extends Error {
  override name = 'Uncertain';
}

/**
 * How a transaction went; without refusals it was not sent again because `before` said no. `uncertain`: an earlier attempt
 * was not answered, and may still happen.
 */
export type Transacted = { done: true } | { done: false; refusals: Refusal[]; uncertain: boolean };

export interface Dynamo {
  get(key: Key): Promise<Item | undefined>;
  getAll(keys: readonly Key[]): Promise<Map<string, Item>>;
  /** Up to 100 items as they are at one moment, in the order of their keys. */
  getTogether(keys: readonly Key[]): Promise<(Item | undefined)[]>;
  query(input: Omit<QueryCommandInput, 'TableName'>): Promise<{ items: Item[]; more: Item | undefined }>;
  /** False when the condition did not hold, with what stands there. */
  put(input: Omit<PutItemCommandInput, 'TableName'>): Promise<{ ok: true } | { ok: false; item?: Item }>;
  /** The item as it is now; undefined when the condition did not hold. */
  update(input: Omit<UpdateItemCommandInput, 'TableName'>, deadline?: number): Promise<Item | undefined>;
  /**
   * Sent again until it is done or refused for its conditions; `before` is asked before each attempt. Throws Throttled
   * when it surely did not happen, Uncertain when it may have.
   */
  transact(items: TransactWriteItem[], deadline: number, before: () => boolean): Promise<Transacted>;
  /** Unconditional: for keys that nobody else writes any more. None may be named twice. */
  writeAll(writes: readonly ({ put: Item } | { remove: Key })[]): Promise<void>;
  /** False when the condition did not hold. */
  removeIf(key: Key, condition: string, values: Item): Promise<boolean>;
}

export interface DynamoOptions {
  client: DynamoSender;
  table: string;
  clock: Clock;
  /** How long one request is tried, in milliseconds. */
  requestMsMax: number;
}

const backoffMsMin = 10;
const backoffMsMax = 1000;

/** Name of an item in a map of items. */
export const nameOf = (item: Item | Key): string => `${item.pk?.S}\n${item.sk?.S}`;

/** The operations of the store on one table: throttles, conflicts and lost replies are tried again until a deadline. */
export const createDynamo = ({ client, table, clock, requestMsMax }: DynamoOptions): Dynamo => {
  /** Full jitter: a random time up to a bound that doubles. */
  const pause = (attempt: number): Promise<void> =>
    clock.sleep(1 + clock.random() * Math.min(backoffMsMax, backoffMsMin * 2 ** attempt));

  /** For requests that may be done twice. Conditions that fail are thrown to the caller as they came. */
  const again = async <T>(request: () => Promise<T>, deadline = clock.now() + requestMsMax): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await request();
      } catch (error) {
        const { kind } = faultOf(error);
        if (kind === 'condition' || kind === 'cancelled' || kind === 'fatal') throw error;
        if (clock.now() >= deadline) {
          if (kind === 'lost') throw error;
          throw new Throttled(`the table is busy: ${(error as Error).message}`, { cause: error });
        }
        await pause(attempt);
      }
    }
  };
  const input = <T extends object>(rest: T) => ({ TableName: table, ...rest });
  const send = async <T>(command: DynamoCommand): Promise<T> => (await client.send(command)) as T;

  return {
    get: async (key) => {
      const command = () => new GetItemCommand(input({ Key: { ...key }, ConsistentRead: true }));
      return (await again(() => send<{ Item?: Item }>(command()))).Item;
    },
    getTogether: async (keys) => {
      const TransactItems = keys.map((key) => ({ Get: { TableName: table, Key: { ...key } } }));
      const { Responses = [] } = await again(() =>
        send<{ Responses?: { Item?: Item }[] }>(new TransactGetItemsCommand({ TransactItems })),
      );
      return keys.map((_, i) => Responses[i]?.Item);
    },
    getAll: async (keys) => {
      const found = new Map<string, Item>();
      const chunk = async (some: readonly Key[]) => {
        let left: Item[] = some.map((key) => ({ ...key }));
        for (let attempt = 0; left.length > 0; attempt++) {
          if (attempt > 0) await pause(attempt);
          const request = { RequestItems: { [table]: { Keys: left, ConsistentRead: true } } };
          const page = await again(() =>
            send<{ Responses?: Record<string, Item[]>; UnprocessedKeys?: Record<string, { Keys?: Item[] }> }>(
              new BatchGetItemCommand(request),
            ),
          );
          for (const item of page.Responses?.[table] ?? []) found.set(nameOf(item), item);
          left = page.UnprocessedKeys?.[table]?.Keys ?? [];
          if (attempt > 12) throw new Throttled('the table leaves keys unread');
        }
      };
      const chunks: Promise<void>[] = [];
      for (let at = 0; at < keys.length; at += 100) chunks.push(chunk(keys.slice(at, at + 100)));
      await Promise.all(chunks);
      return found;
    },
    query: async (rest) => {
      const page = await again(() =>
        send<{ Items?: Item[]; LastEvaluatedKey?: Item }>(new QueryCommand(input({ ConsistentRead: true, ...rest }))),
      );
      return { items: page.Items ?? [], more: page.LastEvaluatedKey };
    },
    put: async (rest) => {
      try {
        await again(() => send(new PutItemCommand(input({ ...rest, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }))));
        return { ok: true };
      } catch (error) {
        const { kind, item } = faultOf(error);
        if (kind === 'condition') return item ? { ok: false, item } : { ok: false };
        throw error;
      }
    },
    update: async (rest, deadline) => {
      try {
        const request = () =>
          send<{ Attributes?: Item }>(new UpdateItemCommand(input({ ...rest, ReturnValues: 'ALL_NEW' })));
        return (await again(request, deadline)).Attributes ?? {};
      } catch (error) {
        if (faultOf(error).kind === 'condition') return undefined;
        throw error;
      }
    },
    transact: async (items, deadline, before) => {
      const TransactItems = items.map(({ Put, Update, Delete, ConditionCheck }) => ({
        ...(Put && { Put: { ...Put, TableName: table } }),
        ...(Update && { Update: { ...Update, TableName: table } }),
        ...(Delete && { Delete: { ...Delete, TableName: table } }),
        ...(ConditionCheck && { ConditionCheck: { ...ConditionCheck, TableName: table } }),
      }));
      let uncertain = false;
      for (let attempt = 0; ; attempt++) {
        if (!before()) return { done: false, refusals: [], uncertain };
        try {
          await send(new TransactWriteItemsCommand({ TransactItems }));
          return { done: true };
        } catch (error) {
          const { kind, refusals } = faultOf(error);
          if (kind === 'cancelled') return { done: false, refusals, uncertain };
          if (kind === 'fatal' || kind === 'condition') throw error;
          if (kind === 'lost') uncertain = true;
          if (clock.now() >= deadline) {
            if (uncertain) throw new Uncertain((error as Error).message, { cause: error });
            throw new Throttled(`the table is busy: ${(error as Error).message}`, { cause: error });
          }
          await pause(attempt);
        }
      }
    },
    removeIf: async (key, condition, values) => {
      const request = { Key: { ...key }, ConditionExpression: condition, ExpressionAttributeValues: values };
      try {
        await again(() => send(new DeleteItemCommand(input(request))));
        return true;
      } catch (error) {
        if (faultOf(error).kind === 'condition') return false;
        throw error;
      }
    },
    writeAll: async (writes) => {
      for (let at = 0; at < writes.length; at += 25) {
        let left = writes
          .slice(at, at + 25)
          .map((write) =>
            'put' in write ? { PutRequest: { Item: write.put } } : { DeleteRequest: { Key: { ...write.remove } } },
          );
        for (let attempt = 0; left.length > 0; attempt++) {
          if (attempt > 0) await pause(attempt);
          const request = { RequestItems: { [table]: left } };
          const page = await again(() =>
            send<{ UnprocessedItems?: Record<string, typeof left> }>(new BatchWriteItemCommand(request)),
          );
          left = page.UnprocessedItems?.[table] ?? [];
        }
      }
    },
  };
};
