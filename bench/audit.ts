import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Call, run } from './load.ts';
import { podBody } from './pod.ts';
import { startSettled } from './process.ts';
import { interleaved } from './ratios.ts';

const PODS = '/api/v1/namespaces/default/pods';
const WORKERS = 16;
const CALLS = 3000;

const policy = (level: string): string =>
  `{"apiVersion":"audit.k8s.io/v1","kind":"Policy","rules":[{"level":"${level}"}]}\n`;

const post = (name: string): Call => ({ method: 'POST', path: PODS, body: podBody(name) });

/** What auditing every request at a level leaves of the rate of gets and creates: one server with it, one without. */
export const audited = async (level = 'Metadata') => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-audit-'));
  const path = join(directory, 'policy.yaml');
  writeFileSync(path, policy(level));
  const [own, bare] = [await startSettled(['--nodes', '0', '--config', path]), await startSettled()];
  try {
    for (const { target } of [own, bare]) await run(target, WORKERS, 100, (i) => post(`pod-${i}`));
    const gets = await interleaved(own, bare, CALLS * 2, () => (i) => ({
      method: 'GET',
      path: `${PODS}/pod-${i % 100}`,
    }));
    const creates = await interleaved(own, bare, CALLS, (at) => (i) => post(`pod-${at}-${i}`));
    return {
      getsRatio: gets.ratio ?? 0,
      getsCpuMicros: gets.cpuMicros ?? 0,
      plainGetsCpuMicros: gets.bareCpuMicros ?? 0,
      createsRatio: creates.ratio ?? 0,
      createsCpuMicros: creates.cpuMicros ?? 0,
      plainCreatesCpuMicros: creates.bareCpuMicros ?? 0,
    };
  } finally {
    await own.stop();
    await bare.stop();
    rmSync(directory, { recursive: true, force: true });
  }
};
