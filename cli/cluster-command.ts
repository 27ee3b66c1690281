import { setTimeout as delay } from 'node:timers/promises';
import type { AccessEntry } from '../functions/apiserver/authn/aws/access-entry.ts';
import { SERVICE_ACCOUNT_ISSUER } from '../functions/apiserver/authn/issuer.ts';
import { createTokenAuthority } from '../functions/apiserver/authn/token-authority.ts';
import { BUILT_IN, type Cluster, type ClusterQuotas, FLEET } from '../functions/apiserver/fleet/cluster-kind.ts';
import type { Client } from '../functions/client/client.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import { CLUSTERS } from '../functions/fleet/deletion.ts';
import { milliValue } from '../functions/machinery/quantity.ts';
import { StatusError } from '../functions/machinery/status.ts';
import { type Administrator, administrator } from './administrator.ts';
import { CommandError, dataDirectory, parse, UsageError, wholeNumber } from './command.ts';
import { kubeconfigText } from './kubeconfig.ts';

const QUOTAS: readonly string[] = ['objects', 'bytes', 'requestsPerSecond', 'nodes'];
const DAY_SECONDS = 86_400;
const WAIT_MS = 250;
const WAIT_MS_MAX = 15 * 60_000;

const data = { data: { type: 'string' } } as const;

/** `objects=100`, `bytes=64Mi`: as the object's spec has them. */
export const readQuotas = (given: readonly string[]): ClusterQuotas => {
  const quotas: Record<string, number> = {};
  for (const one of given) {
    const [what = '', amount = ''] = one.split('=');
    if (!QUOTAS.includes(what)) throw new CommandError(`--quota takes ${QUOTAS.join(', ')}, not "${what}"`);
    const value = amountOf(amount);
    if (value === undefined) throw new CommandError(`--quota ${what} takes a whole number, not "${amount}"`);
    quotas[what] = value;
  }
  return quotas;
};

const amountOf = (text: string): number | undefined => {
  try {
    const value = milliValue(text) / 1000;
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  } catch {
    return undefined;
  }
};

const nameOf = (positionals: readonly string[]): string => {
  const [name] = positionals;
  if (!name) throw new UsageError('cluster takes create NAME, list, delete NAME or kubeconfig NAME');
  return name;
};

/** What the API says, as one line. */
const told = async <T>(work: Promise<T>): Promise<T> =>
  work.catch((error) => {
    throw error instanceof StatusError ? new CommandError(error.message) : error;
  });

const found = async (fleet: Client, name: string): Promise<Cluster> => {
  const cluster = await told(fleet.get<Cluster>(CLUSTERS, '', name));
  if (!cluster) throw new CommandError(`no cluster ${name}: make it with ./skiff cluster create ${name}`);
  return cluster;
};

const withAdministrator = async (directory: string, work: (admin: Administrator) => Promise<number>) => {
  const admin = await administrator(directory);
  try {
    return await work(admin);
  } finally {
    admin.close();
  }
};

/** Lets a role or user of IAM in as an administrator; the server judges the ARN. */
const adminEntry = (principalArn: string): AccessEntry => ({
  principalArn,
  accessPolicies: [
    {
      policyArn: 'arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy',
      accessScope: { type: 'cluster' },
    },
  ],
});

const create = async (args: string[]): Promise<number> => {
  const options = {
    ...data,
    'display-name': { type: 'string' },
    quota: { type: 'string', multiple: true },
    'admin-arn': { type: 'string', multiple: true },
  } as const;
  const { values, positionals } = parse(args, options, 1);
  const name = nameOf(positionals);
  const quotas = readQuotas(values.quota ?? []);
  const accessEntries = (values['admin-arn'] ?? []).map(adminEntry);
  const displayName = values['display-name'];
  const object: Cluster = {
    apiVersion: 'skiff.dev/v1',
    kind: 'Cluster',
    metadata: { name },
    spec: {
      ...(displayName && { displayName }),
      ...(Object.keys(quotas).length > 0 && { quotas }),
      ...(accessEntries.length > 0 && { accessEntries }),
    },
  };
  return withAdministrator(dataDirectory(values.data), async (admin) => {
    const began = performance.now();
    await told(admin.client(FLEET).create(CLUSTERS, object));
    console.log(`cluster ${name} created (${(performance.now() - began).toFixed(0)} ms)`);
    const where = values.data ? ` --data ${values.data}` : '';
    console.log(`./skiff cluster kubeconfig ${name}${where} > ${name}.kubeconfig`);
    return 0;
  });
};

const row = (cells: readonly string[]): string =>
  cells
    .map((cell) => cell.padEnd(20))
    .join('')
    .trimEnd();

const list = async (args: string[]): Promise<number> => {
  const { values } = parse(args, data);
  return withAdministrator(dataDirectory(values.data), async (admin) => {
    const { items } = await told(admin.client(FLEET).list<Cluster>(CLUSTERS));
    console.log(row(['NAME', 'PHASE', 'OBJECTS', 'NODES', 'DISPLAY NAME']));
    for (const name of BUILT_IN) console.log(row([name, 'Ready', '', '', 'built in']));
    for (const { metadata, spec, status } of items) {
      const { objects, nodes } = status?.usage ?? {};
      const cells = [metadata.name, status?.phase, objects, nodes, spec?.displayName];
      console.log(row(cells.map((cell) => `${cell ?? ''}`)));
    }
    return 0;
  });
};

const remove = async (args: string[]): Promise<number> => {
  const { values, positionals } = parse(args, { ...data, 'no-wait': { type: 'boolean' } }, 1);
  const name = nameOf(positionals);
  return withAdministrator(dataDirectory(values.data), async (admin) => {
    const fleet = admin.client(FLEET);
    const { metadata } = await found(fleet, name);
    await told(fleet.delete(CLUSTERS, '', name));
    if (values['no-wait']) {
      console.log(`cluster ${name} is being deleted`);
      return 0;
    }
    const until = performance.now() + WAIT_MS_MAX;
    for (;;) {
      const left = await told(fleet.get<Cluster>(CLUSTERS, '', name));
      if (left?.metadata.uid !== metadata.uid) break;
      if (performance.now() > until) throw new CommandError(`cluster ${name} is still being deleted`);
      await delay(WAIT_MS);
    }
    console.log(`cluster ${name} deleted`);
    return 0;
  });
};

/** A credential of one cluster: it opens no other, and none that has the same name later. */
const kubeconfig = async (args: string[]): Promise<number> => {
  const { values, positionals } = parse(args, { ...data, days: { type: 'string' } }, 1);
  const name = nameOf(positionals);
  const days = wholeNumber('days', values.days, 365, 1, 3650);
  return withAdministrator(dataDirectory(values.data), async (admin) => {
    if (BUILT_IN.has(name))
      throw new CommandError(`${name} is the operator's: ./skiff kubeconfig prints its kubeconfig`);
    const { uid } = (await found(admin.client(FLEET), name)).metadata;
    const clock = createSystemClock();
    const authority = createTokenAuthority({
      keyPem: admin.tokenKey,
      issuer: SERVICE_ACCOUNT_ISSUER,
      clock,
      uidOf: () => uid,
    });
    const token = authority.mintAdminToken(name, days * DAY_SECONDS);
    const server = `${admin.server.replace(/\/$/, '')}/clusters/${name}`;
    process.stdout.write(kubeconfigText({ server, caCert: admin.caCert, token, name }));
    return 0;
  });
};

/** `skiff cluster create|list|delete|kubeconfig` */
export const run = async (args: string[]): Promise<number> => {
  const [name = '', ...rest] = args;
  if (name === 'create') return create(rest);
  if (name === 'list') return list(rest);
  if (name === 'delete') return remove(rest);
  if (name === 'kubeconfig') return kubeconfig(rest);
  throw new UsageError('cluster takes create NAME, list, delete NAME or kubeconfig NAME');
};
