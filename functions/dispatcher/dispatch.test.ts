import { expect, it } from 'vitest';
import type { Reader } from '../client/reader.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { Message } from '../queue/queue.ts';
import type { Change, Stored } from '../store/store.ts';
import { createDispatcher } from './dispatch.ts';

const PODS = { group: '', resource: 'pods' };
const objectOf = (name: string): KubeObject => ({ metadata: { name } });
const change = (key: string): Change => {
  const stored: Stored = { key, revision: 1n, bytes: new Uint8Array(), index: { labels: {}, fields: {}, owners: [] } };
  return { type: 'put', stored };
};

const create = (failures?: string[]) => {
  const sent: Message[] = [];
  const objects = ['a', 'bad', 'b'].map(objectOf);
  const reader = { list: async () => objects, atLeast: async () => true } as unknown as Reader;
  const keys = ({ object }: { object: KubeObject }): string[] => {
    if (object.metadata.name === 'bad') throw new Error('nobody can read this');
    return [object.metadata.name ?? ''];
  };
  const dispatcher = createDispatcher({
    consumers: [{ name: 'looks', watches: [{ resource: PODS, keys }] }],
    queue: { send: async (messages) => void sent.push(...messages) },
    decode: ({ key }) => {
      if (key === 'garbled') throw new Error('no JSON');
      return objectOf(key);
    },
    reader: () => reader,
    ...(failures && {
      onFailure: (domain, error, during) => void failures.push(`${during} ${domain.cluster}: ${error}`),
    }),
  });
  return { dispatcher, sent };
};

it('a change that nobody can read is told, and the others of its batch go on', async () => {
  const failures: string[] = [];
  const { dispatcher, sent } = create(failures);
  await dispatcher.changed({ cluster: 'c', ...PODS }, ['a', 'bad', 'garbled', 'b'].map(change));
  expect(sent.map(({ key }) => key)).toEqual(['a', 'b']);
  expect(failures).toEqual(['change c: Error: nobody can read this', 'change c: Error: no JSON']);
});

it('a resync goes on past an object that nobody can read', async () => {
  const failures: string[] = [];
  const { dispatcher, sent } = create(failures);
  await dispatcher.resync('c');
  expect(sent.map(({ key }) => key)).toEqual(['a', 'b']);
  expect(failures).toEqual(['resync c: Error: nobody can read this']);
});

it('rejects where nobody is told', async () => {
  const { dispatcher, sent } = create();
  await expect(dispatcher.changed({ cluster: 'c', ...PODS }, [change('bad')])).rejects.toThrow('nobody can read');
  await expect(dispatcher.resync('c')).rejects.toThrow('nobody can read');
  expect(sent).toEqual([]);
});
