import { createHash } from 'node:crypto';
import { CreateQueueCommand, DeleteQueueCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { SignatureV4 } from '@smithy/signature-v4';
import { Sha256 } from '../../client/sha256.ts';
import type { Change, Domain } from '../../store/store.ts';

/** What a bell says: which of the things that an agent follows may have changed. */
export type Topic = 'pods' | 'services' | 'endpointslices';

export interface BellOptions {
  client: Pick<SQSClient, 'send' | 'config'>;
  /** URL of a bell's queue up to the part that names the node: `https://sqs.eu-north-1.amazonaws.com/123/Skiff-bell-`. */
  base: string;
}

/** Where an agent listens: a URL that needs no credentials, and how long it is good for. */
export interface BellAnswer {
  url: string;
  seconds: number;
}

export interface Bells {
  /** Makes the node's queue where it is missing, and a URL to wait on it for 20 s at a time. */
  listen(cluster: string, node: string): Promise<BellAnswer>;
  /** Rings the nodes that these changes concern; `nodes` names all of a cluster, for what concerns every one. */
  changed(domain: Domain, changes: readonly Change[], nodes: (cluster: string) => Promise<string[]>): Promise<void>;
}

const URL_SECONDS = 3600;
/** A bell that nobody heard for a minute is of no use: agents look by themselves when they come back. */
const RETENTION_SECONDS = 60;
/** Longer than a bell lives: what was received once does not come again, though nobody deletes it. */
const HIDDEN_SECONDS = 3600;
const WAIT_SECONDS = 20;

const hashOf = (cluster: string, node: string): string =>
  createHash('sha256').update(`${cluster}\n${node}`).digest('hex').slice(0, 32);

const topics: Record<string, Topic> = {
  '/pods': 'pods',
  '/services': 'services',
  'discovery.k8s.io/endpointslices': 'endpointslices',
};

const isGone = (error: unknown): boolean =>
  ['QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue'].includes((error as { name?: string }).name ?? '');

/**
 * A doorbell per node: an SQS queue whose messages carry no data but which kind of object to look at. An agent waits on
 * it without a connection to the API, so that a quiet node costs 131,000 receives a month and no function.
 */
export const createBells = ({ client, base }: BellOptions): Bells => {
  const urlOf = (cluster: string, node: string): string => `${base}${hashOf(cluster, node)}`;
  const ring = async (url: string, about: ReadonlySet<Topic>): Promise<void> => {
    try {
      await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: [...about].join(' ') }));
    } catch (error) {
      // Nobody listens: the node is behind a gateway, or gone.
      if (!isGone(error)) throw error;
    }
  };
  return {
    listen: async (cluster, node) => {
      const url = new URL(urlOf(cluster, node));
      await client.send(
        new CreateQueueCommand({
          QueueName: url.pathname.split('/').at(-1),
          Attributes: {
            MessageRetentionPeriod: `${RETENTION_SECONDS}`,
            VisibilityTimeout: `${HIDDEN_SECONDS}`,
            ReceiveMessageWaitTimeSeconds: `${WAIT_SECONDS}`,
          },
        }),
      );
      const signer = new SignatureV4({
        credentials: client.config.credentials,
        region: client.config.region,
        service: 'sqs',
        sha256: Sha256,
      });
      const query = { Action: 'ReceiveMessage', Version: '2012-11-05', MaxNumberOfMessages: '10' };
      const signed = await signer.presign(
        {
          method: 'GET',
          protocol: url.protocol,
          hostname: url.hostname,
          path: url.pathname,
          headers: { host: url.host },
          query: { ...query, WaitTimeSeconds: `${WAIT_SECONDS}` },
        },
        { expiresIn: URL_SECONDS },
      );
      const search = new URLSearchParams(signed.query as Record<string, string>);
      return { url: `${url.origin}${url.pathname}?${search}`, seconds: URL_SECONDS };
    },
    changed: async ({ cluster, group, resource }, changes, nodes) => {
      if (group === '' && resource === 'nodes') {
        for (const { type, stored } of changes)
          if (type === 'delete') {
            await client.send(new DeleteQueueCommand({ QueueUrl: urlOf(cluster, stored.key) })).catch((error) => {
              if (!isGone(error)) throw error;
            });
          }
        return;
      }
      const topic = topics[`${group}/${resource}`];
      if (!topic) return;
      const concerned =
        topic === 'pods'
          ? changes.flatMap(({ stored }) => stored.index.fields['spec.nodeName'] || [])
          : await nodes(cluster);
      await Promise.all([...new Set(concerned)].map((node) => ring(urlOf(cluster, node), new Set([topic]))));
    },
  };
};
