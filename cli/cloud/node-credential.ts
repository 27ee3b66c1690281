import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { FRONT_ADDRESSES, FRONT_NAMES, FRONT_SUBJECT } from '../../functions/entry/front-names.ts';
import { requestServing } from '../../functions/entry/issue.ts';
import type { JoinAnswer } from '../../functions/entry/join.ts';
import { CommandError } from '../command.ts';

/** What a machine that joined keeps in its data directory. */
const schema = z.object({
  /** The URL of the cluster, with its path where it has one. */
  server: z.string(),
  node: z.string(),
  token: z.string(),
  /** Seconds since the epoch. */
  expires: z.number(),
  caCert: z.string(),
  certificate: z.string(),
  key: z.string(),
  gateway: z.string().optional(),
});
export type NodeCredential = z.infer<typeof schema>;

type Send = (request: Request) => Promise<Response>;

const pathOf = (directory: string): string => join(directory, 'node.json');
/** Only the token, for the node's own process. */
export const tokenPath = (directory: string): string => join(directory, 'node-token');

const write = (path: string, text: string): void => {
  writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
};

const keep = (directory: string, credential: NodeCredential): NodeCredential => {
  write(pathOf(directory), `${JSON.stringify(credential, null, 2)}\n`);
  write(tokenPath(directory), credential.token);
  return credential;
};

/** The credential of a machine that joined before. */
export const readCredential = (directory: string): NodeCredential | undefined => {
  if (!existsSync(pathOf(directory))) return undefined;
  const { data, error } = schema.safeParse(JSON.parse(readFileSync(pathOf(directory), 'utf8')));
  if (!data) throw new CommandError(`${pathOf(directory)} cannot be read: ${error.issues[0]?.message}`);
  return data;
};

interface Exchange {
  server: string;
  node: string;
  token: string;
  send: Send;
}

const exchange = async (directory: string, what: 'join' | 'renew', given: Exchange): Promise<NodeCredential> => {
  const { server, node, token, send } = given;
  const { request, key } = await requestServing(FRONT_SUBJECT, [...FRONT_NAMES], [...FRONT_ADDRESSES]);
  const answer = await send(
    new Request(`${server.replace(/\/$/, '')}/skiff/v1/${what}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ node, request }),
    }),
  );
  const text = await answer.text();
  if (answer.status === 401 && what === 'renew')
    throw new CommandError(`the cluster knows node ${node} no more: remove ${pathOf(directory)} and join anew`);
  if (answer.status === 401)
    throw new CommandError('the token is not good, or no more: make one with ./skiff node token');
  if (answer.status === 409)
    throw new CommandError(`there is a node ${node} already: delete it, or join under another --name`);
  if (!answer.ok) throw new CommandError(`${server} answers ${answer.status}: ${text.slice(0, 500)}`);
  const made = JSON.parse(text) as JoinAnswer;
  return keep(directory, {
    server,
    node: made.node,
    token: made.token,
    expires: made.expires,
    caCert: made.caCert,
    certificate: made.certificate,
    key,
    ...(made.gateway && { gateway: made.gateway }),
  });
};

/** Exchanges a join token for a credential of this machine's own. */
export const joinAs = (directory: string, given: Exchange): Promise<NodeCredential> =>
  exchange(directory, 'join', given);

/** Renews once a third of the credential's month is over; answers the one that counts. */
export const renewed = async (directory: string, old: NodeCredential, send: Send): Promise<NodeCredential> => {
  const RENEW_DAYS = 20;
  if (old.expires - Date.now() / 1000 > RENEW_DAYS * 86_400) return old;
  return exchange(directory, 'renew', { ...old, send });
};
