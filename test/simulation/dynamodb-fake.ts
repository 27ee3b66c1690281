// A table of DynamoDB in memory, for the calls that the store makes. Semantics are those of the Amazon DynamoDB API
// Reference and of "Amazon DynamoDB Transactions: How it works"; dynamodb-fake.test.ts holds it against DynamoDB Local.
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactGetItemsCommand,
  type TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamoCommand } from '../../functions/store/dynamodb-client.ts';
import {
  compareValues,
  conditionOf,
  InvalidExpression,
  type Item,
  type Names,
  updateOf,
} from './dynamodb-expressions.ts';

/** What the SDK throws for an answer of the service. */
export const failure = (name: string, message: string, rest: object = {}, status = 400): Error =>
  Object.assign(new Error(message), {
    name,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
    ...rest,
  });
const invalid = (message: string): Error => failure('ValidationException', message);

const itemBytesMax = 400 * 1024;
const transactionItemsMax = 100;
const transactionBytesMax = 4 * 1024 * 1024;

const sizes = new WeakMap<Item, number>();
/** Size of an item in bytes as DynamoDB counts: names and values. */
export const sizeOf = (item: Item): number => {
  const known = sizes.get(item);
  if (known !== undefined) return known;
  let size = 0;
  for (const [name, value] of Object.entries(item)) {
    size += name.length + (value.B?.byteLength ?? 0) + (value.BOOL === undefined ? 0 : 1);
    if (value.S !== undefined) size += Buffer.byteLength(value.S);
    if (value.N !== undefined) size += 1 + Math.ceil(value.N.length / 2);
  }
  sizes.set(item, size);
  return size;
};

export const nameOf = (item: Item): string => `${item.pk?.S}\n${item.sk?.S}`;

/** One write of a request: what it makes of the item that stands there. */
interface Change {
  name: string;
  partition: string;
  key: Item;
  condition: (old: Item | undefined) => boolean;
  /** Undefined: the item goes; the same item: a mere check. */
  next: (old: Item | undefined) => Item | undefined;
  returnOld: boolean;
}
interface Request {
  Key?: Item | undefined;
  Item?: Item | undefined;
  UpdateExpression?: string | undefined;
  ConditionExpression?: string | undefined;
  ExpressionAttributeNames?: Record<string, string> | undefined;
  ExpressionAttributeValues?: Item | undefined;
  ReturnValuesOnConditionCheckFailure?: string | undefined;
  ReturnValues?: string | undefined;
}

const checkKey = (key: Item | undefined): Item => {
  const { pk, sk } = key ?? {};
  if (!key || !pk?.S || !sk?.S) throw invalid('The provided key element does not match the schema');
  return key;
};
type Kind = 'put' | 'update' | 'delete' | 'check';
const changeOf = (kind: Kind, request: Request): Change => {
  const source = checkKey(kind === 'put' ? request.Item : request.Key);
  const key: Item = { pk: source.pk as never, sk: source.sk as never };
  const given: Names = { names: request.ExpressionAttributeNames, values: request.ExpressionAttributeValues };
  const holds = conditionOf(request.ConditionExpression);
  const updated = kind === 'update' ? updateOf(request.UpdateExpression ?? '') : undefined;
  const next = (old: Item | undefined): Item | undefined => {
    if (kind === 'check') return old;
    if (kind === 'delete') return undefined;
    const made = updated ? updated(key, old, given) : { ...request.Item };
    if (sizeOf(made) > itemBytesMax) throw invalid('Item size has exceeded the maximum allowed size');
    return made;
  };
  return {
    name: nameOf(key),
    partition: key.pk?.S ?? '',
    key,
    condition: (old) => holds(old, given),
    next,
    returnOld: request.ReturnValuesOnConditionCheckFailure === 'ALL_OLD',
  };
};

/** Told of every change of an item, in the order in which they happen. */
export type Observer = (next: Item | undefined, old: Item | undefined) => void;

interface Partition {
  items: Map<string, Item>;
  /** Sort keys in order; rebuilt when asked for after a change. */
  sorted: string[] | undefined;
}

/** A transaction between its two phases: its items are locked until finish() or, where refused, were never. */
export interface Prepared {
  /** Applies it. */
  finish(): void;
}

export interface FakeTable {
  /** Does a request at once; throws what the service answers with. */
  execute(command: DynamoCommand): object;
  /** First phase of a transaction: conditions are looked at, items locked. Throws when it is cancelled. */
  prepare(command: TransactWriteItemsCommand): Prepared;
  /** Removes items whose `ttl` has passed, as far as `some` says: expiry may be late. */
  expire(nowSeconds: number, some: () => boolean): void;
  get(pk: string, sk: string): Item | undefined;
  partitions(): string[];
  items(partition: string): Item[];
}

export interface FakeOptions {
  observe?: Observer;
  /** Most items of one page of a query; DynamoDB ends pages at 1 MB. */
  pageItems?: () => number;
  /** Part of the keys of a batch that it leaves unprocessed. */
  unprocessed?: () => boolean;
  /** What an eventually consistent read may see of an item instead of what stands there. */
  stale?: (name: string, now: Item | undefined) => Item | undefined;
}

export const createFakeTable = (options: FakeOptions = {}): FakeTable => {
  const { observe, pageItems = () => 1_000_000, unprocessed = () => false, stale = (_, now) => now } = options;
  const table = new Map<string, Partition>();
  const locked = new Set<string>();

  const at = (pk: string, sk: string): Item | undefined => table.get(pk)?.items.get(sk);
  const standing = (change: Change): Item | undefined => at(change.partition, change.key.sk?.S ?? '');
  const write = (change: Change, old: Item | undefined, next: Item | undefined): void => {
    if (next === old) return;
    const partition = table.get(change.partition) ?? { items: new Map<string, Item>(), sorted: undefined };
    table.set(change.partition, partition);
    const sk = change.key.sk?.S ?? '';
    if (!next || !old) partition.sorted = undefined;
    if (next) partition.items.set(sk, next);
    else partition.items.delete(sk);
    observe?.(next, old);
  };

  const one = (kind: Kind, request: Request): object => {
    const change = changeOf(kind, request);
    if (locked.has(change.name)) throw failure('TransactionConflictException', 'Transaction is ongoing for the item');
    const old = standing(change);
    if (!change.condition(old))
      throw failure('ConditionalCheckFailedException', 'The conditional request failed', {
        ...(change.returnOld && old ? { Item: old } : {}),
      });
    const next = change.next(old);
    write(change, old, next);
    return request.ReturnValues === 'ALL_NEW' ? { Attributes: next } : {};
  };

  const prepare = (command: TransactWriteItemsCommand): Prepared => {
    const { TransactItems = [] } = command.input;
    if (TransactItems.length === 0 || TransactItems.length > transactionItemsMax)
      throw invalid('Member must have length less than or equal to 100');
    const changes = TransactItems.map(({ Put, Update, Delete, ConditionCheck }) => {
      if (Put) return changeOf('put', Put);
      if (Update) return changeOf('update', Update);
      return Delete ? changeOf('delete', Delete) : changeOf('check', ConditionCheck ?? {});
    });
    if (new Set(changes.map(({ name }) => name)).size < changes.length)
      throw invalid('Transaction request cannot include multiple operations on one item');
    const olds = changes.map(standing);
    const reasons = changes.map((change, i) => {
      if (locked.has(change.name))
        return { Code: 'TransactionConflict', Message: 'Transaction is ongoing for the item' };
      if (change.condition(olds[i])) return { Code: 'None' };
      const Item = change.returnOld ? olds[i] : undefined;
      return { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed', ...(Item ? { Item } : {}) };
    });
    // An update that cannot be is told before conditions of other items.
    const nexts = changes.map((change, i) => (reasons[i]?.Code === 'None' ? change.next(olds[i]) : undefined));
    if (reasons.some(({ Code }) => Code !== 'None'))
      throw failure(
        'TransactionCanceledException',
        `Transaction cancelled [${reasons.map((r) => r.Code).join(', ')}]`,
        {
          CancellationReasons: reasons,
        },
      );
    const bytes = nexts.reduce((total, item) => total + (item ? sizeOf(item) : 0), 0);
    if (bytes > transactionBytesMax) throw invalid('Transaction request exceeds 4 MB');
    for (const { name } of changes) locked.add(name);
    return {
      finish: () => {
        changes.forEach((change, i) => {
          locked.delete(change.name);
          write(change, olds[i], nexts[i]);
        });
      },
    };
  };

  const sortedOf = (partition: Partition): string[] => {
    partition.sorted ??= [...partition.items.keys()].sort((a, b) => compareValues({ S: a }, { S: b }) ?? 0);
    return partition.sorted;
  };
  const query = ({ input }: QueryCommand): object => {
    const given: Names = { names: input.ExpressionAttributeNames, values: input.ExpressionAttributeValues };
    const hash = /^pk = (:\w+)/.exec(input.KeyConditionExpression ?? '')?.[1];
    if (!hash) throw invalid('Query condition missed key schema element: pk');
    const partition = table.get(given.values?.[hash]?.S ?? '');
    const holds = conditionOf(input.KeyConditionExpression);
    const most = Math.min(input.Limit ?? 1_000_000, Math.max(1, pageItems()));
    const start = input.ExclusiveStartKey?.sk;
    const Items: Item[] = [];
    for (const sk of partition ? sortedOf(partition) : []) {
      if (start && (compareValues({ S: sk }, start) ?? 0) <= 0) continue;
      const now = partition?.items.get(sk);
      const item = input.ConsistentRead ? now : stale(nameOf(now ?? {}), now);
      if (!item || !holds(item, given)) continue;
      Items.push({ ...item });
      if (Items.length >= most) return { Items, Count: Items.length, LastEvaluatedKey: { pk: item.pk, sk: item.sk } };
    }
    return { Items, Count: Items.length };
  };

  const batchGet = ({ input }: BatchGetItemCommand): object => {
    const [[name, request] = []] = Object.entries(input.RequestItems ?? {});
    const keys = request?.Keys ?? [];
    if (!name || keys.length === 0 || keys.length > 100) throw invalid('1 to 100 keys');
    if (new Set(keys.map(nameOf)).size < keys.length) throw invalid('Provided list of item keys contains duplicates');
    const found: Item[] = [];
    const left: Item[] = [];
    for (const key of keys) {
      if (unprocessed()) {
        left.push(key);
        continue;
      }
      const now = at(checkKey(key).pk?.S ?? '', key.sk?.S ?? '');
      const item = request?.ConsistentRead ? now : stale(nameOf(key), now);
      if (item) found.push({ ...item });
    }
    const UnprocessedKeys = left.length > 0 ? { [name]: { ...request, Keys: left } } : {};
    return { Responses: { [name]: found }, UnprocessedKeys };
  };
  const batchWrite = ({ input }: BatchWriteItemCommand): object => {
    const [[name, requests = []] = []] = Object.entries(input.RequestItems ?? {});
    if (!name || requests.length === 0 || requests.length > 25) throw invalid('1 to 25 requests');
    const changes = requests.map(({ PutRequest, DeleteRequest }) =>
      PutRequest ? changeOf('put', PutRequest) : changeOf('delete', DeleteRequest ?? {}),
    );
    if (new Set(changes.map((c) => c.name)).size < changes.length)
      throw invalid('Provided list of item keys contains duplicates');
    const left = requests.filter((_, i) => {
      const change = changes[i];
      if (!change || unprocessed() || locked.has(change.name)) return true;
      const old = standing(change);
      write(change, old, change.next(old));
      return false;
    });
    return { UnprocessedItems: left.length > 0 ? { [name]: left } : {} };
  };

  const transactGet = ({ input }: TransactGetItemsCommand): object => {
    const keys = (input.TransactItems ?? []).map(({ Get }) => checkKey(Get?.Key));
    if (keys.length === 0 || keys.length > transactionItemsMax) throw invalid('1 to 100 items');
    const codes = keys.map((key) => (locked.has(nameOf(key)) ? 'TransactionConflict' : 'None'));
    if (codes.includes('TransactionConflict'))
      throw failure('TransactionCanceledException', `Transaction cancelled [${codes.join(', ')}]`, {
        CancellationReasons: codes.map((Code) => ({ Code })),
      });
    return {
      Responses: keys.map((key) => {
        const item = at(key.pk?.S ?? '', key.sk?.S ?? '');
        return item ? { Item: { ...item } } : {};
      }),
    };
  };

  const execute = (command: DynamoCommand): object => {
    try {
      if (command instanceof GetItemCommand) {
        const { pk, sk } = checkKey(command.input.Key);
        const now = at(pk?.S ?? '', sk?.S ?? '');
        const item = command.input.ConsistentRead ? now : stale(nameOf(command.input.Key ?? {}), now);
        return item ? { Item: { ...item } } : {};
      }
      if (command instanceof BatchGetItemCommand) return batchGet(command);
      if (command instanceof QueryCommand) return query(command);
      if (command instanceof PutItemCommand) return one('put', command.input);
      if (command instanceof UpdateItemCommand) return one('update', command.input);
      if (command instanceof DeleteItemCommand) return one('delete', command.input);
      if (command instanceof BatchWriteItemCommand) return batchWrite(command);
      if (command instanceof TransactGetItemsCommand) return transactGet(command);
      prepare(command).finish();
      return {};
    } catch (error) {
      throw error instanceof InvalidExpression ? invalid(error.message) : error;
    }
  };

  return {
    execute,
    prepare,
    expire: (nowSeconds, some) => {
      for (const [pk, { items }] of table)
        for (const [sk, item] of items) {
          const { ttl } = item;
          if (ttl?.N === undefined || Number(ttl.N) > nowSeconds || locked.has(nameOf(item)) || !some()) continue;
          write(changeOf('delete', { Key: { pk: { S: pk }, sk: { S: sk } } }), item, undefined);
        }
    },
    get: at,
    partitions: () => [...table.keys()],
    items: (partition) => [...(table.get(partition)?.items.values() ?? [])],
  };
};
