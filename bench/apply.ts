/** Costs of managedFields on the write path. Run: npx node bench/apply.ts */
import { applyPatch } from '../functions/machinery/apply/apply.ts';
import { fieldsOf } from '../functions/machinery/apply/fields.ts';
import { trackUpdate } from '../functions/machinery/apply/update.ts';
import { schemaOf } from '../functions/machinery/facts.ts';
import type { Json, JsonObject } from '../functions/machinery/object.ts';

const container = (name: string): JsonObject => ({
  name,
  image: `registry.example/${name}:1.2.3`,
  args: ['--verbose', '--port=8080'],
  env: ['A', 'B', 'C'].map((n) => ({ name: n, value: 'value' })),
  ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
  resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '100m', memory: '128Mi' } },
  volumeMounts: [{ name: 'config', mountPath: '/etc/config', readOnly: true }],
  readinessProbe: {
    httpGet: { path: '/ready', port: 8080, scheme: 'HTTP' },
    periodSeconds: 10,
    timeoutSeconds: 1,
    successThreshold: 1,
    failureThreshold: 3,
  },
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  imagePullPolicy: 'IfNotPresent',
});
const pod: JsonObject = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web-0',
    namespace: 'default',
    labels: { app: 'web', tier: 'front' },
    annotations: { 'example.com/note': 'x'.repeat(200) },
  },
  spec: {
    containers: [container('web'), container('proxy'), container('log')],
    volumes: [{ name: 'config', configMap: { name: 'web', defaultMode: 420 } }],
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
    enableServiceLinks: true,
  },
  status: { phase: 'Pending' },
};
const schema = schemaOf('core.v1.Pod');
const main = fieldsOf([['status']]);
const statusOnly = fieldsOf([['spec'], ['metadata', 'deletionTimestamp'], ['metadata', 'ownerReferences']]);
const writer = { manager: 'bench', apiVersion: 'v1', now: '2026-01-01T00:00:00Z', schema };

const time = (name: string, run: () => unknown): void => {
  for (let i = 0; i < 5000; i++) run();
  const rounds = 20_000;
  const start = process.hrtime.bigint();
  for (let i = 0; i < rounds; i++) run();
  const micros = Number(process.hrtime.bigint() - start) / 1000 / rounds;
  console.log(`${name.padEnd(34)} ${micros.toFixed(2)} us`);
};

console.log(`pod of ${JSON.stringify(pod).length} bytes`);
const created = trackUpdate({ ...writer, before: undefined, after: pod, resetFields: main });
const live: JsonObject = {
  ...pod,
  metadata: { ...(pod.metadata as JsonObject), uid: 'u', managedFields: created as unknown as Json },
};
const copy = structuredClone(live);
const running: JsonObject = {
  ...live,
  status: { phase: 'Running', podIP: '10.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
};
time('create', () => trackUpdate({ ...writer, before: undefined, after: pod, resetFields: main }));
time('update, nothing changed', () => trackUpdate({ ...writer, before: live, after: copy, resetFields: main }));
time('status update, spec shared', () =>
  trackUpdate({
    ...writer,
    manager: 'kubelet',
    subresource: 'status',
    before: live,
    after: running,
    resetFields: statusOnly,
  }),
);
time('apply of the whole pod', () =>
  applyPatch({ ...writer, manager: 'applier', live, applied: pod, force: true, resetFields: main }),
);
