import type { Secret, ServiceAccount } from '../machinery/kinds.d.ts';
import { keyOf } from '../machinery/object.ts';
import type { Controller, Plan } from './controller.ts';
import { expectsOf, ownKey, targetOf } from './owners.ts';
import { secrets, serviceAccounts } from './resources.ts';

/** Who a token that stands in a Secret is for: it lives as long as the Secret does. */
export interface SecretTokenSubject {
  namespace: string;
  serviceAccount: { name: string; uid: string };
  secret: { name: string; uid: string };
}

export interface TokenSecretOptions {
  signSecretToken?(cluster: string, subject: SecretTokenSubject): Promise<string>;
  /** PEM of the authority that signs the API server's certificate. */
  rootCa: (cluster: string) => string | Promise<string>;
}

export interface TokenSecretObserved {
  secret: Secret;
  /** Absent: there is no such account, and the Secret goes. */
  account: ServiceAccount | undefined;
  ca: string;
  /** Only where the Secret holds none yet. */
  token: string | undefined;
}

const TYPE = 'kubernetes.io/service-account-token';
const NAME = 'kubernetes.io/service-account.name';
const UID = 'kubernetes.io/service-account.uid';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const decide = ({ secret, account, ca, token }: TokenSecretObserved): Plan => {
  const { annotations = {} } = secret.metadata;
  const named = annotations[UID];
  if (!account || (named && named !== account.metadata.uid)) {
    const { uid } = expectsOf(secret);
    return { writes: [{ op: 'delete', resource: secrets, target: targetOf(secret), expects: { uid } }] };
  }
  const wanted: Record<string, string> = {
    'ca.crt': base64(ca),
    namespace: base64(secret.metadata.namespace ?? ''),
    ...(token !== undefined && { token: base64(token) }),
  };
  const data = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => secret.data?.[key] !== value));
  const uid = account.metadata.uid ?? '';
  if (Object.keys(data).length === 0 && named === uid) return { writes: [] };
  const merge = { data, metadata: { annotations: { [UID]: uid } } };
  return {
    writes: [{ op: 'patch', resource: secrets, target: targetOf(secret), merge, expects: expectsOf(secret) }],
  };
};

/**
 * Fills Secrets that ask for a token of a ServiceAccount by their type and annotation, and removes them with the account.
 * Source: the reference page "Managing Service Accounts".
 */
export const createTokenSecretController = ({
  signSecretToken,
  rootCa,
}: TokenSecretOptions): Controller<TokenSecretObserved> => ({
  name: 'token-secret',
  watches: [
    { resource: secrets, keys: (change) => ((change.object as Secret).type === TYPE ? ownKey(change) : []) },
    {
      resource: serviceAccounts,
      keys: async ({ object }, read) => {
        const { name, namespace = '' } = object.metadata;
        const all = await read.list<Secret>(secrets, { namespace });
        return all
          .filter((secret) => secret.type === TYPE && secret.metadata.annotations?.[NAME] === name)
          .map((secret) => keyOf(namespace, secret.metadata.name ?? ''));
      },
    },
  ],
  async observe(read, key) {
    const secret = await read.get<Secret>(secrets, key.namespace, key.name);
    const name = secret?.metadata.annotations?.[NAME];
    if (!signSecretToken || !secret || secret.type !== TYPE || secret.metadata.deletionTimestamp || !name)
      return undefined;
    let account = await read.get<ServiceAccount>(serviceAccounts, key.namespace, name);
    if (!account) {
      // An account is often made in the moment before: only what is not there for certain costs the Secret.
      await read.fresh(serviceAccounts);
      account = await read.get<ServiceAccount>(serviceAccounts, key.namespace, name);
    }
    const ca = await rootCa(read.cluster);
    const needs = account && !secret.data?.token;
    const subject = {
      namespace: key.namespace,
      serviceAccount: { name, uid: account?.metadata.uid ?? '' },
      secret: { name: key.name, uid: secret.metadata.uid ?? '' },
    };
    return { secret, account, ca, token: needs ? await signSecretToken(read.cluster, subject) : undefined };
  },
  decide,
});
