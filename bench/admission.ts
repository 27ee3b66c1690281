/**
 * What admission costs: a policy of ten expressions, and authentication, authorization and admission of a request
 * together, at the median. Run: npx node bench/admission.ts
 */
import type { AdmissionPlugin } from '../functions/apiserver/admission/admission.ts';
import { createApiServer } from '../functions/apiserver/app.ts';
import { staticTokens, user } from '../functions/apiserver/authn/authenticator.ts';
import { mastersAuthorizer, unionAuthorizer } from '../functions/apiserver/authz/authorizer.ts';
import { rbacAuthorizer } from '../functions/apiserver/authz/rbac.ts';
import { seedCluster } from '../functions/apiserver/seed.ts';
import { createSystemClock } from '../functions/clock/system.ts';
import { admissionEnvironment, compileFor, RESULTS } from '../functions/machinery/cel/admission.ts';
import { fromJson } from '../functions/machinery/cel/values.ts';
import { loadRegex } from '../functions/machinery/regex.ts';
import { createMemoryStore } from '../functions/store/memory.ts';
import { createReplicas } from '../functions/store/replica.ts';

const EXPRESSIONS = [
  'object.spec.containers.all(c, has(c.resources) && has(c.resources.limits))',
  "object.spec.containers.all(c, c.image.startsWith('registry.example/'))",
  "!object.spec.containers.exists(c, c.image.endsWith(':latest'))",
  'object.spec.containers.size() <= 5',
  "has(object.metadata.labels) && 'app' in object.metadata.labels",
  "object.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
  '!has(object.spec.hostNetwork) || object.spec.hostNetwork == false',
  'object.spec.containers.all(c, c.ports.all(p, p.containerPort > 1024))',
  "quantity(object.spec.containers[0].resources.limits.memory).isLessThan(quantity('2Gi'))",
  "request.operation == 'CREATE' || oldObject != null",
];
const container = (name: string) => ({
  name,
  image: `registry.example/${name}:1.2.3`,
  ports: [{ containerPort: 8080 }],
  resources: { limits: { cpu: '1', memory: '1Gi' } },
});
const pod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels: { app: 'web' } },
  spec: { containers: [container('web'), container('proxy')] },
});
const rules = [
  { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['pods'], scope: '*' },
];

const median = (times: number[]): number => times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
const micros = (start: bigint): number => Number(process.hrtime.bigint() - start) / 1000;

const expressions = (): number => {
  const env = admissionEnvironment({ params: false, authorizer: true });
  const programs = EXPRESSIONS.map((source) => {
    const compiled = compileFor(env, source, RESULTS.condition);
    if ('fault' in compiled) throw new Error(compiled.fault);
    return compiled.program;
  });
  const json = pod('web-0');
  const times: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const start = process.hrtime.bigint();
    const inputs = { object: fromJson(json), oldObject: null, request: fromJson({ operation: 'CREATE' }) };
    for (const program of programs) {
      const made = program.evaluate(inputs);
      if (!('value' in made) || made.value !== true) throw new Error('an expression does not hold');
    }
    if (i >= 5000) times.push(micros(start));
  }
  return median(times);
};

/** A server whose authentication, authorization and admission add up what they take. */
const createServer = async () => {
  const clock = createSystemClock();
  const store = createMemoryStore();
  await seedCluster({ store, cluster: 'default', clock });
  const replicas = createReplicas(store, { clock, bytesMax: 1 << 28, windowChanges: 1000, windowMs: 60_000 });
  const spent = { us: 0 };
  const timed = async <T>(work: () => T | Promise<T>): Promise<T> => {
    const start = process.hrtime.bigint();
    try {
      return await work();
    } finally {
      spent.us += micros(start);
    }
  };
  const tokens = staticTokens(
    new Map([
      ['admin', user('root', ['system:masters'])],
      ['t', user('alice', ['devs'])],
    ]),
  );
  const rbac = unionAuthorizer(mastersAuthorizer(), rbacAuthorizer({ replicas, clock }));
  const app = createApiServer({
    store,
    clock,
    replicas,
    authenticator: { authenticate: (...given) => timed(() => tokens.authenticate(...given)) },
    authorizer: { ...rbac, authorize: (given) => timed(() => rbac.authorize(given)) },
  });
  for (const plugin of app.server.plugins as AdmissionPlugin[]) {
    const { admit, validate } = plugin;
    if (admit) plugin.admit = (request) => timed(() => admit(request));
    if (validate) plugin.validate = (request) => timed(() => validate(request));
  }
  const send = async (path: string, body: object, token = 'admin'): Promise<void> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const request = new Request(`https://x${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    const answer = await app.fetch(request);
    const text = await answer.text();
    if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${text}`);
  };
  return { send, spent };
};
type Bench = Awaited<ReturnType<typeof createServer>>;

const POLICIES = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic';
const bindPolicy = async ({ send }: Bench): Promise<void> => {
  const validations = EXPRESSIONS.map((expression) => ({ expression }));
  await send(`${POLICIES}ies`, {
    metadata: { name: 'ten' },
    spec: { matchConstraints: { resourceRules: rules }, validations },
  });
  await send(`${POLICIES}ybindings`, {
    metadata: { name: 'ten' },
    spec: { policyName: 'ten', validationActions: ['Deny'] },
  });
};

const PODS = '/api/v1/namespaces/default/pods';
let made = 0;
const creates = async ({ send, spent }: Bench, count: number): Promise<number> => {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    spent.us = 0;
    await send(PODS, pod(`web-${made++}`), 't');
    if (i >= count / 4) times.push(spent.us);
  }
  return median(times);
};

await loadRegex();
console.log(`ten expressions of a policy           ${expressions().toFixed(1)} us`);
const bench = await createServer();
const rbac = '/apis/rbac.authorization.k8s.io/v1';
await bench.send('/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
for (let i = 0; i < 1000; i++)
  await bench.send(`${rbac}/clusterrolebindings`, {
    metadata: { name: `b${i}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: i === 500 ? 'alice' : `user-${i}` }],
  });
console.log(`authn, authz, admission of a pod      ${(await creates(bench, 4000)).toFixed(1)} us`);
await bindPolicy(bench);
console.log(`the same with a policy of ten         ${(await creates(bench, 4000)).toFixed(1)} us`);
process.exit(0);
