import { expect, it } from 'vitest';
import { createSimulatedClock } from '../../clock/simulated.ts';
import type { Message } from '../../queue/queue.ts';
import { pack } from '../../store/dynamodb-items.ts';
import { createDispatchHandler, createTimersHandler, createWorkHandler } from './handlers.ts';

const log = () => {};
const body = (key: string, consumer = 'deployment'): string => JSON.stringify({ cluster: 'c', consumer, key });
const record = (id: string, text: string, group = text) => ({
  messageId: id,
  body: text,
  attributes: { MessageGroupId: group },
});
const failures = (answer: { batchItemFailures: { itemIdentifier: string }[] }): string[] =>
  answer.batchItemFailures.map((one) => one.itemIdentifier);

it('a message that fails comes again, with those of its group after it; the others are done', async () => {
  const seen: string[] = [];
  const handle = async (message: Message): Promise<void> => {
    seen.push(message.key);
    if (message.key === 'n/bad') throw new Error('not now');
  };
  const records = [
    record('1', body('n/a'), 'g1'),
    record('2', body('n/bad'), 'g2'),
    record('3', body('n/b'), 'g3'),
    record('4', body('n/late'), 'g2'),
  ];
  expect(failures(await createWorkHandler({ handle }, { log })({ Records: records }))).toEqual(['2', '4']);
  expect(seen).toEqual(['n/a', 'n/bad', 'n/b']);
});

it('a key that a batch names twice is looked at once, and a body that is no message is no work', async () => {
  const seen: string[] = [];
  const handle = async (message: Message): Promise<void> => void seen.push(message.key);
  const records = [record('1', body('n/a')), record('2', body('n/a')), record('3', 'nonsense'), record('4', '{}')];
  expect(failures(await createWorkHandler({ handle }, { log })({ Records: records }))).toEqual(['3', '4']);
  expect(seen).toEqual(['n/a']);
});

it('what does not begin before the platform’s limit comes again', async () => {
  let left = 10_000;
  const handle = async (): Promise<void> => {
    left -= 5_000;
  };
  const records = ['a', 'b', 'c', 'd'].map((key) => record(key, body(`n/${key}`)));
  const answer = await createWorkHandler({ handle }, { log })(
    { Records: records },
    { getRemainingTimeInMillis: () => left },
  );
  expect(failures(answer)).toEqual(['c', 'd']);
});

it('timers whose time has come are passed on, the others put back for what is left', async () => {
  const clock = createSimulatedClock();
  const sent: [string, number][] = [];
  const queue = {
    send: async (messages: Message[], delayMs = 0): Promise<void> => {
      for (const { key } of messages) sent.push([key, delayMs]);
    },
  };
  const timer = (key: string, inMs: number) =>
    JSON.stringify({ message: { cluster: 'c', consumer: 'job', key }, due: clock.now() + inMs });
  const records = [
    record('1', timer('due', -5)),
    record('2', timer('nearly', 300)),
    record('3', timer('later', 3_600_000)),
    record('4', '{"due":1}'),
  ];
  expect(failures(await createTimersHandler(queue, clock, { log })({ Records: records }))).toEqual(['4']);
  expect(sent).toEqual([
    ['due', 0],
    ['nearly', 0],
    ['later', 3_600_000],
  ]);
});

it('records of a stream that are no log entries of API objects wake nobody', async () => {
  const handler = createDispatchHandler(
    { dispatcher: { changed: async () => Promise.reject(new Error('no queue')), resync: async () => {} } },
    async () => [],
    { log },
  );
  const image = { pk: { S: 'c//pods/o' }, sk: { S: 'n/a' } };
  await handler({ Records: [{ eventName: 'INSERT', dynamodb: { NewImage: image } }, { eventName: 'REMOVE' }] });
});

it('a bell that does not ring holds up no stream', async () => {
  const told: string[] = [];
  const dispatched: string[] = [];
  const changed = async ({ cluster }: { cluster: string }): Promise<void> => void dispatched.push(cluster);
  const handler = createDispatchHandler({ dispatcher: { changed, resync: async () => {} } }, async () => [], {
    log: (line) => told.push(line),
    ring: () => Promise.reject(new Error('no bell')),
  });
  const { attributes } = pack({ labels: {}, fields: {}, owners: [] }, new TextEncoder().encode('{}'));
  const at = { pk: { S: 'c//pods/l/0' }, sk: { S: '7' }, r: { N: '7' }, k: { S: 'n/a' }, t: { S: 'put' } };
  const NewImage = { ...at, ...attributes };
  await handler({ Records: [{ eventName: 'INSERT', dynamodb: { NewImage } }] });
  expect(dispatched).toEqual(['c']);
  expect(told[0]).toContain('bell of c: Error: no bell');
});

it('values whose key is out of reach hold up no other changes, and come again', async () => {
  const dispatched: string[] = [];
  const changed = async ({ resource }: { resource: string }): Promise<void> => void dispatched.push(resource);
  const away = new Error('kms');
  const handler = createDispatchHandler({ dispatcher: { changed, resync: async () => {} } }, async () => [], {
    log,
    opened: async (domain, changes) => (domain.resource === 'secrets' ? Promise.reject(away) : changes),
  });
  const { attributes } = pack({ labels: {}, fields: {}, owners: [] }, new TextEncoder().encode('{}'));
  const recordOf = (resource: string) => {
    const at = { pk: { S: `c//${resource}/l/0` }, sk: { S: '7' }, r: { N: '7' }, k: { S: 'n/a' }, t: { S: 'put' } };
    return { eventName: 'INSERT', dynamodb: { NewImage: { ...at, ...attributes } } };
  };
  await expect(handler({ Records: [recordOf('secrets'), recordOf('pods')] })).rejects.toBe(away);
  expect(dispatched).toEqual(['pods']);
});
