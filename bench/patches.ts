import { type Call, run } from './load.ts';
import { podBody } from './pod.ts';
import { startBare, startSettled } from './process.ts';
import { interleaved, sizeOf } from './ratios.ts';

const PODS = '/api/v1/namespaces/default/pods';
const TARGETS = 200;
const CALLS = 3000;

type Body = (round: number, i: number) => string;

/** Patches of one of 200 pods at 16 workers, against POSTs to the bare server of the same body and answer. */
const patches = async (contentType: string, query: string, body: Body) => {
  const plane = await startSettled();
  await run(plane.target, 16, TARGETS, (i) => ({ method: 'POST', path: PODS, body: podBody(`pod-${i}`) }));
  const path = (i: number) => `${PODS}/pod-${i % TARGETS}`;
  const size = await sizeOf(plane.target, path(0));
  const bare = await startBare(
    plane.pki,
    Object.fromEntries(Array.from({ length: TARGETS }, (_, i) => [path(i), size])),
  );
  const next =
    (round: number) =>
    (i: number): Call => ({ method: 'PATCH', path: path(i) + query, body: body(round, i), contentType });
  const posted =
    (round: number) =>
    (i: number): Call => ({ method: 'POST', path: path(i), body: body(round, i), contentType });
  try {
    return await interleaved(plane, bare, CALLS, next, posted);
  } finally {
    await bare.stop();
    await plane.stop();
  }
};

/** A changed annotation of one pod by strategic merge. */
export const strategic = () =>
  patches('application/strategic-merge-patch+json', '', (round, i) =>
    JSON.stringify({ metadata: { annotations: { 'example.com/round': `${round}-${i}` } } }),
  );

/** The same by server-side apply, of a configuration with a container and its labels. */
export const apply = () =>
  patches('application/apply-patch+yaml', '?fieldManager=bench&force=true', (round, i) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `pod-${i % TARGETS}`,
        namespace: 'default',
        labels: { app: 'bench', tier: 'web' },
        annotations: { 'example.com/round': `${round}-${i}` },
      },
      spec: { containers: [{ name: 'web', image: 'registry.example.com/team/web:1.2.3' }] },
    }),
  );
