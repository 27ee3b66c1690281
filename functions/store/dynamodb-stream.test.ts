import { expect, it } from 'vitest';
import { pack, packIndex } from './dynamodb-items.ts';
import { changesOfRecords } from './dynamodb-stream.ts';

const index = { labels: { a: 'b' }, fields: {}, owners: [] };
const entry = (revision: number, type: string) => {
  const { attributes } = pack(index, Buffer.from(`object ${revision}`));
  const image = {
    pk: { S: 'c/apps/deployments/l/0' },
    t: { S: type },
    k: { S: 'ns/a' },
    r: { N: `${revision}` },
    ...attributes,
    ...packIndex(index),
  };
  const asEvent = JSON.parse(JSON.stringify(image), (key, v) => (key === 'B' ? Buffer.from(v).toString('base64') : v));
  return { eventName: 'INSERT', dynamodb: { NewImage: asEvent } };
};

it('tells the changes of stream records in revision order, without voids and other items', async () => {
  const object = { eventName: 'INSERT', dynamodb: { NewImage: { pk: { S: 'c/apps/deployments/o' }, r: { N: '9' } } } };
  const removed = { ...entry(2, 'put'), eventName: 'REMOVE' };
  const void4 = { eventName: 'INSERT', dynamodb: { NewImage: { pk: { S: 'c//pods/l/0' }, t: { S: 'void' } } } };
  const [found, ...more] = await changesOfRecords(
    [entry(5, 'delete'), object, removed, void4, entry(3, 'put')],
    async () => [],
  );
  expect(more).toEqual([]);
  expect(found?.domain).toEqual({ cluster: 'c', group: 'apps', resource: 'deployments' });
  expect(found?.changes.map((c) => `${c.type} ${c.stored.revision} ${Buffer.from(c.stored.bytes)}`)).toEqual([
    'put 3 object 3',
    'delete 5 object 5',
  ]);
  expect(found?.changes[0]?.previousIndex).toEqual(index);
});
