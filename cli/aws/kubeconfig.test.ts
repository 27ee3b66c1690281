import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { makeAuthority } from '../../functions/entry/issue.ts';
import { UsageError } from '../command.ts';
import { kubeconfigText, run, writeKubeconfig } from '../kubeconfig.ts';
import { awsKubeconfig } from './kubeconfig.ts';

const directory = mkdtempSync(join(tmpdir(), 'skiff-kubeconfig-test-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('a kubeconfig for credentials of AWS', () => {
  it('names a program instead of a secret', async () => {
    const { caCert } = await makeAuthority();
    writeKubeconfig(directory, { server: 'https://127.0.0.1:6443', caCert, token: 'the-secret', name: 'skiff' });
    const options = { 'cluster-id': 'lab', region: 'eu-north-1', 'role-arn': 'arn:aws:iam::111122223333:role/A' };
    const text = await awsKubeconfig(directory, options);
    expect(text).not.toContain('the-secret');
    const { users, clusters } = parse(text);
    expect(clusters[0].cluster.server).toBe('https://127.0.0.1:6443');
    const { exec } = users[0].user;
    expect(exec).toMatchObject({ apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath });
    expect(exec.args.slice(2)).toEqual([
      'token',
      ...['--cluster-id', 'lab', '--region', 'eu-north-1', '--role-arn', 'arn:aws:iam::111122223333:role/A'],
    ]);
  });

  it('needs an id for a cluster that has no object', async () => {
    await expect(awsKubeconfig(directory, {})).rejects.toThrow('--cluster-id is needed');
    await expect(run(['--region', 'eu-north-1', '--data', directory])).rejects.toThrow(UsageError);
  });
});

it('a kubeconfig with a token has no program', () => {
  const { users } = parse(kubeconfigText({ name: 'n', server: 's', caCert: '', token: 't' }));
  expect(users).toEqual([{ name: 'n', user: { token: 't' } }]);
});
