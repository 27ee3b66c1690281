// Functions tell of requests on standard output, each before it is answered.
import { expect, it, vi } from 'vitest';
import { createSystemClock } from '../../clock/system.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { checkConfiguration, followStoredConfiguration, storeConfiguration } from './configuration.ts';
import { createCloudPlane } from './plane.ts';
import { openTable } from './table.ts';

const policy = 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, nonResourceURLs: ["/version"]}]\n';
const sink = (log: string) => `apiVersion: skiff.dev/v1\nkind: AuditSink\nlog: ${log}\n`;

it('a function has written its events when it has answered', async () => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  await storeConfiguration(store, [{ name: 'audit.yaml', text: policy }]);
  const said: string[] = [];
  const log = () => undefined;
  const { configured } = await followStoredConfiguration({ store, clock, log });
  const plane = await createCloudPlane({ store, clock, log, configured });
  const headers = { authorization: `Bearer ${plane.adminToken}`, 'x-forwarded-for': '10.1.2.3' };
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => said.push(text.toString()) > 0);
  try {
    await plane.api.fetch(new Request('https://x/version', { headers }));
    const told = said.filter((line) => line.includes('"kind":"Event"')).map((line) => JSON.parse(line));
    expect(told).toMatchObject([
      {
        stage: 'RequestReceived',
        sourceIPs: ['10.1.2.3'],
        user: { groups: ['system:masters', 'system:authenticated'] },
      },
      { stage: 'ResponseComplete', responseStatus: { code: 200 } },
    ]);
  } finally {
    out.mockRestore();
  }
});

it('a deployment is given no sink that its functions do not have', async () => {
  await checkConfiguration([{ name: 'a', text: sink('{path: "-"}') }]);
  await expect(checkConfiguration([{ name: 'a', text: sink('{path: audit.log}') }])).rejects.toThrow('standard output');
});

it('the first request after a pause is audited by the policy of now', async () => {
  const system = createSystemClock();
  let ahead = 0;
  const clock = { ...system, now: () => system.now() + ahead };
  const inner = createMemoryStore();
  const log = () => undefined;
  const table = await openTable({ inner, clock, kmsKey: '', log });
  const plane = await createCloudPlane({ ...table, clock, log });
  await storeConfiguration(inner, [{ name: 'audit.yaml', text: policy }]);
  ahead = 3_600_000;
  const said: string[] = [];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => said.push(text.toString()) > 0);
  try {
    await plane.api.fetch(
      new Request('https://x/version', { headers: { authorization: `Bearer ${plane.adminToken}` } }),
    );
    expect(said.filter((line) => line.includes('"kind":"Event"')).length).toBe(2);
  } finally {
    out.mockRestore();
  }
});
