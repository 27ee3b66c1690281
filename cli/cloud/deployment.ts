import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { CommandError } from '../command.ts';

/** What a data directory knows of a deployment to AWS, or to a stand-in for it. */
const schema = z.object({
  stack: z.string(),
  table: z.string(),
  /** The URL of the API, as this machine reaches it. */
  url: z.string(),
  region: z.string(),
  /** The URL of its gateway, where it has one. */
  gateway: z.string().optional(),
  /** ARN of the KMS key under which its secrets lie. */
  kmsKey: z.string().optional(),
  profile: z.string().optional(),
  endpoint: z.string().optional(),
});
export type Deployment = z.infer<typeof schema>;

const pathOf = (directory: string): string => join(directory, 'deployment.json');

export const writeDeployment = (directory: string, deployment: Deployment): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(pathOf(directory), `${JSON.stringify(deployment, null, 2)}\n`, { mode: 0o600 });
};

export const hasDeployment = (directory: string): boolean => existsSync(pathOf(directory));

/** Reads it; a directory without one is a line that says how to make it. */
export const readDeployment = (directory: string): Deployment => {
  const path = pathOf(directory);
  if (!existsSync(path)) throw new CommandError(`no deployment in ${directory}: make one with ./skiff deploy`);
  const { data, error } = schema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (!data) throw new CommandError(`${path} cannot be read: ${error.issues[0]?.message}`);
  return data;
};

/** The environment that AWS's tools and SDK read. A stand-in takes any credentials. */
export const awsEnvironment = (given: Pick<Deployment, 'region' | 'profile' | 'endpoint'>): Record<string, string> => ({
  AWS_REGION: given.region,
  AWS_DEFAULT_REGION: given.region,
  ...(given.profile && { AWS_PROFILE: given.profile }),
  ...(given.endpoint && {
    AWS_ENDPOINT_URL: given.endpoint,
    AWS_ACCESS_KEY_ID: process.env.AWS_ACCESS_KEY_ID ?? 'test',
    AWS_SECRET_ACCESS_KEY: process.env.AWS_SECRET_ACCESS_KEY ?? 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
  }),
});

/** A function URL as it is reached at a stand-in, which serves all of them under its own address. */
export const reachable = (url: string, endpoint: string | undefined): string => {
  const { hostname } = new URL(url);
  if (!endpoint || !hostname.endsWith('.on.aws')) return url.replace(/\/$/, '');
  return `${endpoint.replace(/\/$/, '')}/_aws/lambda-url/${hostname.split('.')[0]}`;
};
