// What a decode costs: node bench/decode.ts
// A pod of about 2.4 kB, parsed and decoded with defaults, in microseconds per body (median of rounds).
import { parseBody } from '../functions/machinery/body.ts';
import { decode } from '../functions/machinery/decode.ts';
import { schemaOf } from '../functions/machinery/facts.ts';

const container = (name: string) => ({
  name,
  image: `registry.example.com/${name}:1.2.3`,
  args: ['--port=8080', '--log-level=info'],
  env: Array.from({ length: 11 }, (_, i) => ({ name: `VARIABLE_${i}`, value: `value-${i}` })),
  ports: [{ containerPort: 8080, name: 'http' }],
  resources: { limits: { cpu: '500m', memory: '256Mi' }, requests: { cpu: '250m', memory: '128Mi' } },
  livenessProbe: { httpGet: { path: '/healthz', port: 8080 }, initialDelaySeconds: 5 },
  readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
  volumeMounts: [{ name: 'config', mountPath: '/etc/config', readOnly: true }],
});
const text = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web-1', namespace: 'default', labels: { app: 'web', tier: 'front' }, annotations: { note: 'x' } },
  spec: {
    containers: [container('web'), container('side')],
    volumes: [{ name: 'config', configMap: { name: 'web' } }],
    nodeSelector: { 'kubernetes.io/os': 'linux' },
    tolerations: [{ key: 'dedicated', operator: 'Exists', effect: 'NoSchedule' }],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'web' } } },
        ],
      },
    },
  },
});
const schema = schemaOf('core.v1.Pod');
const value = JSON.parse(text);

const median = (run: () => unknown): number => {
  const rounds: number[] = [];
  for (let round = 0; round < 30; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 1000; i++) run();
    rounds.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  return rounds.sort((a, b) => a - b)[15] ?? 0;
};
const parse = median(() => JSON.parse(text));
const body = median(() => parseBody(text));
const decoded = median(() => decode(schema, value, { defaults: true }));
console.log(
  JSON.stringify({ bytes: text.length, jsonParseUs: parse, parseBodyUs: body, decodeUs: decoded }, (_, v) =>
    typeof v === 'number' ? Math.round(v * 10) / 10 : v,
  ),
);
