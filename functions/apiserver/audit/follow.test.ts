import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { type Configuration, parseConfiguration } from '../configuration.ts';
import { requestInfo } from '../request-info.ts';
import { type FollowAuditOptions, followAudit } from './follow.ts';

let folder = '';
let configuration: Configuration = {};
const said: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skiff-audit-'));
  configuration = {};
  said.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const set = async (...documents: object[]): Promise<void> => {
  configuration = await parseConfiguration(documents.map((one, i) => ({ name: `${i}`, text: JSON.stringify(one) })));
};
const policy = (level: string) => ({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level }] });
const sink = (path: string, more: object = {}) => ({
  apiVersion: 'skiff.dev/v1',
  kind: 'AuditSink',
  log: { path, ...more },
});
const follow = (more: Partial<FollowAuditOptions> = {}) =>
  followAudit({
    configuration: () => configuration,
    clock: createSystemClock(),
    directory: folder,
    defaultPath: 'audit.log',
    log: (line) => said.push(line),
    ...more,
  });
type Followed = Awaited<ReturnType<typeof follow>>;
const user = { username: 'a', uid: '', groups: [], extra: {} };
/** One request that is received and answered. */
const pass = async (audit: Followed, id: string): Promise<boolean> => {
  const request = new Request('https://x/version');
  const trail = audit.current()?.trail({ request, requestId: id, connection: {} });
  await trail?.received(requestInfo('GET', request.url), user);
  await trail?.began(200)();
  return trail !== undefined;
};
const ids = (path: string): string[] => {
  const told = readFileSync(join(folder, path), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  return told.filter(({ stage }) => stage === 'ResponseComplete').map(({ auditID }) => auditID);
};

it('audits nothing without a policy, and from when there is one into a log of its own', async () => {
  const audit = await follow();
  expect(audit.current()).toBeUndefined();
  expect(audit.metrics()).toBe('');
  await set(policy('Metadata'));
  await expect.poll(() => audit.current()).toBeDefined();
  await pass(audit, 'a');
  await audit.close();
  expect(ids('audit.log')).toEqual(['a']);
  expect(audit.metrics()).toContain('apiserver_audit_event_total 2');
  expect(audit.metrics()).toContain('apiserver_audit_level_total{level="Metadata"} 1');
});

it('goes over to another place without losing the end of what is under way', async () => {
  await set(policy('Metadata'), sink('one.log'));
  const audit = await follow();
  await pass(audit, 'a');
  const request = new Request('https://x/version');
  const open = audit.current()?.trail({ request, requestId: 'long', connection: {} });
  await open?.received(requestInfo('GET', request.url), user);
  await set(policy('Metadata'), sink('two.log'));
  const before = audit.current();
  await expect.poll(() => audit.current() !== before).toBe(true);
  await open?.began(200)();
  await pass(audit, 'b');
  await audit.close();
  expect(ids('one.log')).toEqual(['a']);
  expect(ids('two.log')).toEqual(['long', 'b']);
});

it('goes on as before where a new place cannot be opened, and says so', async () => {
  await set(policy('Metadata'), sink('one.log'));
  const audit = await follow();
  await set(policy('None'), sink('one.log/two.log'));
  audit.current();
  await expect.poll(() => said.join()).toContain('auditing goes on as before');
  expect(await pass(audit, 'a')).toBe(true);
  await audit.close();
  expect(ids('one.log')).toEqual(['a']);
});

it('does not begin with a place that cannot be opened', async () => {
  writeFileSync(join(folder, 'file'), '');
  await set(policy('Metadata'), sink('file/audit.log'));
  await expect(follow()).rejects.toMatchObject({ name: 'ConfigurationError' });
});

it('takes no sink in a function that would lose events there', async () => {
  for (const one of [sink('audit.log'), sink('-', { mode: 'batch' })]) {
    await set(policy('Metadata'), one);
    await expect(follow({ immediate: true })).rejects.toThrow('standard output');
  }
  for (const [kubeconfig, why] of [
    ['k', 'have no files'],
    ['data:;base64,e30=', 'keep no batches'],
  ]) {
    await set(policy('Metadata'), { apiVersion: 'skiff.dev/v1', kind: 'AuditSink', webhook: { kubeconfig } });
    await expect(follow({ immediate: true })).rejects.toThrow(why);
  }
});
