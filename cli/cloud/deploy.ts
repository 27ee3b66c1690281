import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConfigurationText } from '../../functions/apiserver/configuration.ts';
import { CommandError, dataDirectory, parse, wholeNumber } from '../command.ts';
import { readState } from '../directory.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import { cdk } from './cdk.ts';
import { awsEnvironment, hasDeployment, reachable, readDeployment, writeDeployment } from './deployment.ts';
import { encryptAnew, readKeys, writeConfiguration } from './keys.ts';

export const deployOptions = {
  data: { type: 'string' },
  profile: { type: 'string' },
  region: { type: 'string' },
  endpoint: { type: 'string' },
  gateway: { type: 'string' },
  nodes: { type: 'boolean' },
  'kms-key': { type: 'string' },
  stack: { type: 'string' },
  'keep-data': { type: 'boolean' },
  'retention-hours': { type: 'string' },
  config: { type: 'string', multiple: true },
} as const;

const READY_MS = 120_000;
/** Nothing of the stand-ins has accounts of its own: they take this one. */
const STAND_IN_ACCOUNT = '000000000000';

const waitReady = async (url: string): Promise<void> => {
  const ends = performance.now() + READY_MS;
  for (;;) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    if (performance.now() > ends) throw new CommandError(`${url} is not ready after ${READY_MS / 1000} s`);
    await delay(500);
  }
};

/** A line for each resource that stands, out of the CDK's table of events. */
const progress = (line: string): void => {
  const parts = line.split('|').map((part) => part.trim());
  if (parts.length < 6 || parts[3] !== 'CREATE_COMPLETE') return;
  console.log(`  ${parts[1]?.padEnd(8)} ${parts[4]?.replace('AWS::', '')}  ${parts[5]?.split(' ')[0]}`);
};

/** A directory belongs to a deployment alone, and its secrets to the key that they lie under. */
const refuseUnlessFits = (directory: string, kmsKey: string): void => {
  if (readState(directory)) {
    throw new CommandError(`${directory} belongs to an embedded cluster: choose another directory with --data`);
  }
  if (kmsKey === 'none' && hasDeployment(directory) && readDeployment(directory).kmsKey)
    throw new CommandError('the secrets of this deployment lie under a KMS key: it cannot go without one');
};

/** What the user does next. */
const wayIn = (directory: string, url: string, token: string): string => {
  // kubectl sends credentials over TLS only.
  if (url.startsWith('http:')) return `for kubectl: ./skiff front --data ${directory}`;
  return `export KUBECONFIG=${writeKubeconfig(directory, { server: url, caCert: '', token, name: 'skiff' })}`;
};

/** The texts of files that stand: before anything is deployed. */
const configurationTexts = async (paths: readonly string[]): Promise<ConfigurationText[]> => {
  const { checkConfiguration } = await import('../../functions/entry/cloud/configuration.ts');
  try {
    const texts = paths.map((name) => ({ name, text: readFileSync(name, 'utf8') }));
    await checkConfiguration(texts);
    return texts;
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error));
  }
};

/** `skiff deploy [--profile P] [--region R] [--endpoint URL] [--gateway ec2|URL] [--nodes] [--kms-key new|none|ARN] [--stack NAME] [--keep-data] [--retention-hours N] [--config FILE]... [--data DIR]` */
export const run = async (args: string[]): Promise<number> => {
  const { values } = parse(args, deployOptions);
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  const directory = dataDirectory(values.data);
  const { profile, endpoint, stack = 'Skiff' } = values;
  const region = values.region ?? process.env.AWS_REGION ?? 'us-east-1';
  const environment = awsEnvironment({ region, ...(profile && { profile }), ...(endpoint && { endpoint }) });
  const kmsKey = values['kms-key'] ?? 'new';
  refuseUnlessFits(directory, kmsKey);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const texts = values.config && (await configurationTexts(values.config));

  const { bundleFunctions, bundleGateway } = await import('../../infra/bundle.ts');
  const sizes = await bundleFunctions();
  if (values.gateway === 'ec2') await bundleGateway();
  const total = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  console.log(`functions bundled: ${(total / 1e6).toFixed(1)} MB (${seconds()})`);
  await cdk(['bootstrap', ...(endpoint ? [`aws://${STAND_IN_ACCOUNT}/${region}`] : [])], environment, () => {});
  console.log(`account ready for deployments (${seconds()})`);
  const scratch = mkdtempSync(join(tmpdir(), 'skiff-deploy-'));
  const outputs = join(scratch, 'outputs.json');
  try {
    const context = {
      stack,
      // The stand-ins buffer what a function URL answers.
      streaming: `${!endpoint}`,
      keepData: `${values['keep-data'] === true}`,
      retentionHours: `${wholeNumber('retention-hours', values['retention-hours'], 1, 1, 24 * 30)}`,
      ...(endpoint && { endpoint }),
      ...(values.gateway && { gateway: values.gateway }),
      ...(values.nodes && { nodes: 'true' }),
      kmsKey,
    };
    const given = Object.entries(context).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    await cdk(
      ['deploy', stack, '--require-approval', 'never', '--outputs-file', outputs, '--progress', 'events', ...given],
      environment,
      progress,
    );
    const made = (JSON.parse(readFileSync(outputs, 'utf8')) as Record<string, Record<string, string>>)[stack];
    if (!made?.Url || !made.TableName) throw new CommandError('the stack names no URL or no table');
    const gateway = made.Gateway ?? (values.gateway === 'ec2' ? undefined : values.gateway);
    const url = reachable(made.Url, endpoint);
    writeDeployment(directory, {
      stack,
      table: made.TableName,
      url,
      region,
      ...(profile && { profile }),
      ...(endpoint && { endpoint }),
      ...(gateway && { gateway }),
      ...(made.SecretsKeyArn && { kmsKey: made.SecretsKeyArn }),
    });
    console.log(`stack ${stack} deployed (${seconds()})`);
    if (texts) await writeConfiguration(directory, texts);
    await waitReady(url);
    const { adminToken } = await readKeys(directory);
    await encryptAnew(directory);
    console.log(`the API answers at ${url} (${seconds()})`);
    console.log(wayIn(directory, url, adminToken));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return 0;
};
