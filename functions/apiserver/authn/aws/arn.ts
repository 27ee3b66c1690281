import { PARTITION_NAMES } from './sts-hosts.ts';

/** An IAM or STS principal out of its Amazon Resource Name. */
export interface Principal {
  type: 'root' | 'user' | 'role' | 'assumed-role' | 'federated-user';
  partition: string;
  account: string;
  /** What stands after the type: `path/name`, for an assumed role without its session; '' for root. */
  name: string;
  /** Of an assumed role. */
  session: string | undefined;
  /**
   * What mappings name: of an assumed role the role that it is of (IAM's own ARN, without the path that STS does not tell),
   * else the ARN itself.
   */
  canonical: string;
}

const ARN = /^arn:([a-z-]{3,16}):(iam|sts)::(\d{12}):([\w+=,.@/-]+)$/;
const TYPES: Readonly<Record<string, readonly string[]>> = {
  iam: ['user', 'role'],
  sts: ['assumed-role', 'federated-user'],
};

/** Reads an ARN; undefined for one that no principal of IAM or STS has. */
export const readPrincipal = (arn: string): Principal | undefined => {
  if (arn.length > 2048) return undefined;
  const [, partition = '', service = '', account = '', resource = ''] = ARN.exec(arn) ?? [];
  if (!PARTITION_NAMES.includes(partition)) return undefined;
  const [type = '', ...names] = resource.split('/');
  const bare = { partition, account, session: undefined };
  if (service === 'iam' && resource === 'root') return { ...bare, type: 'root', name: '', canonical: arn };
  if (!TYPES[service]?.includes(type) || names.length === 0 || names.includes('')) return undefined;
  if (type !== 'assumed-role')
    return { ...bare, type: type as Principal['type'], name: names.join('/'), canonical: arn };
  if (names.length < 2) return undefined;
  const session = names.at(-1);
  const name = names.slice(0, -1).join('/');
  return { ...bare, type, session, name, canonical: `arn:${partition}:iam::${account}:role/${name}` };
};

/** The ARN of a role without its path, as GetCallerIdentity tells it; of anything else, the ARN itself. */
export const withoutPath = ({ type, partition, account, name, canonical }: Principal): string =>
  type === 'role' ? `arn:${partition}:iam::${account}:role/${name.slice(name.lastIndexOf('/') + 1)}` : canonical;
