import { SQSClient } from '@aws-sdk/client-sqs';
import { expect, it } from 'vitest';
import type { Change } from '../../store/store.ts';
import { createBells } from './bells.ts';

interface Sent {
  name: string;
  input: { QueueUrl?: string; QueueName?: string; MessageBody?: string; Attributes?: Record<string, string> };
}

const BASE = 'https://sqs.eu-north-1.amazonaws.com/123456789012/Skiff-bell-';

const start = (fault?: { name: string }) => {
  const sent: Sent[] = [];
  const { config } = new SQSClient({
    region: 'eu-north-1',
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken: 'session' },
  });
  const send = async (command: { constructor: { name: string }; input: Sent['input'] }) => {
    sent.push({ name: command.constructor.name, input: command.input });
    if (fault) throw Object.assign(new Error(fault.name), fault);
    return {};
  };
  return { sent, bells: createBells({ client: { send, config } as never, base: BASE }) };
};

const change = (key: string, fields: Record<string, string> = {}, type: Change['type'] = 'put'): Change => ({
  type,
  stored: { key, revision: 1n, bytes: new Uint8Array(), index: { labels: {}, fields, owners: [] } },
});
const domain = (group: string, resource: string) => ({ cluster: 'default', group, resource });
const nodes = async () => ['a', 'b'];

it('gives a URL that waits on the queue of the node without other credentials', async () => {
  const { sent, bells } = start();
  const { url, seconds } = await bells.listen('default', 'a');
  expect(sent.map(({ name }) => name)).toEqual(['CreateQueueCommand']);
  expect(url.startsWith(`https://sqs.eu-north-1.amazonaws.com/123456789012/${sent[0]?.input.QueueName}?`)).toBe(true);
  const query = new URL(url).searchParams;
  expect(query.get('Action')).toBe('ReceiveMessage');
  expect(query.get('WaitTimeSeconds')).toBe('20');
  expect(query.get('X-Amz-Security-Token')).toBe('session');
  expect(query.get('X-Amz-Signature')).toMatch(/^[0-9a-f]{64}$/);
  expect(query.get('X-Amz-Expires')).toBe(`${seconds}`);
  const other = await bells.listen('team', 'a');
  expect(new URL(other.url).pathname).not.toBe(new URL(url).pathname);
});

it('rings a node once for a batch of its pods, and no other', async () => {
  const { sent, bells } = start();
  const mine = { 'spec.nodeName': 'a' };
  await bells.changed(domain('', 'pods'), [change('x/1', mine), change('x/2', mine), change('x/3')], nodes);
  expect(sent.map(({ name, input }) => [name, input.MessageBody])).toEqual([['SendMessageCommand', 'pods']]);
});

it('rings every node for services, and none for what no agent follows', async () => {
  const { sent, bells } = start();
  await bells.changed(domain('discovery.k8s.io', 'endpointslices'), [change('x/s')], nodes);
  await bells.changed(domain('', 'configmaps'), [change('x/c')], nodes);
  expect(new Set(sent.map(({ input }) => input.QueueUrl)).size).toBe(2);
  expect(sent.map(({ input }) => input.MessageBody)).toEqual(['endpointslices', 'endpointslices']);
});

it('removes the queue with the node, and minds no queue that is not there', async () => {
  const { sent, bells } = start({ name: 'QueueDoesNotExist' });
  await bells.changed(domain('', 'nodes'), [change('a'), change('b', {}, 'delete')], nodes);
  await bells.changed(domain('', 'services'), [change('x/s')], nodes);
  expect(sent.map(({ name }) => name)).toEqual(['DeleteQueueCommand', 'SendMessageCommand', 'SendMessageCommand']);
});

it('fails where SQS does, so that the batch comes again', async () => {
  const { bells } = start({ name: 'OverLimit' });
  await expect(bells.changed(domain('', 'services'), [change('x/s')], nodes)).rejects.toThrow('OverLimit');
});
