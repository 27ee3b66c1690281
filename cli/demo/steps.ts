import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Deployment, Job, Pod, ReplicaSet } from '../../functions/machinery/kinds.d.ts';
import type { KubeObject } from '../../functions/machinery/object.ts';
import { killContainer } from '../container-process.ts';
import { execInPod } from '../exec-client.ts';
import {
  apply,
  DEPLOYMENTS,
  type DemoContext,
  deployment,
  isPodReady,
  isRolledOut,
  JOBS,
  NAMESPACE,
  PODS,
  podsOf,
  REPLICA_SETS,
} from './context.ts';
import { type Step, waitFor } from './progress.ts';
import { call, startTraffic } from './traffic.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/guestbook');
const objectsIn = (file: string): KubeObject[] =>
  parseAllDocuments(readFileSync(join(EXAMPLE, file), 'utf8')).map((d) => d.toJS() as KubeObject);

const rolledOut = (context: DemoContext, name: string, timeoutMs: number): Promise<Deployment> => {
  let seen = '';
  return waitFor(
    `deployment ${name}`,
    timeoutMs,
    async () => {
      const d = await deployment(context, name);
      const { updatedReplicas = 0, availableReplicas = 0 } = d.status ?? {};
      seen = `${updatedReplicas} updated, ${availableReplicas} available of ${d.spec?.replicas}`;
      return isRolledOut(d) ? d : undefined;
    },
    () => seen,
  );
};

/** Sets image version, VERSION and change cause of the front end, as `kubectl set image` and annotate would. */
const release = (context: DemoContext, version: string, image: string): Promise<unknown> =>
  context.client.patch(DEPLOYMENTS, NAMESPACE, 'web', {
    type: 'strategic',
    body: {
      metadata: { annotations: { 'kubernetes.io/change-cause': `version ${version}` } },
      spec: {
        template: { spec: { containers: [{ name: 'web', image, env: [{ name: 'VERSION', value: version }] }] } },
      },
    },
  });

const deploy: Step<DemoContext> = {
  name: 'deploy the guestbook: Redis with a ConfigMap and a volume, three web replicas, a NodePort service',
  run: async (context, say) => {
    for (const object of objectsIn('guestbook.yaml')) await apply(context.client, object);
    await rolledOut(context, 'redis', 60_000);
    say('redis is available');
    await rolledOut(context, 'web', 60_000);
    const pods = await podsOf(context, 'web');
    return `${pods.length} web pods on ${new Set(pods.map((p) => p.spec?.nodeName)).size} node(s)`;
  },
};

const writeAndRead: Step<DemoContext> = {
  name: 'write an entry through the node port, read it back from every replica',
  run: async (context, say) => {
    const entry = 'hello from the demo';
    const posted = await waitFor('the node port', 20_000, async () => {
      const answer = await call(`${context.url}/entries`, { method: 'POST', body: entry });
      return answer.status === 201 ? answer : undefined;
    });
    say(`${context.url}/entries answered ${posted.status}`);
    const names = (await podsOf(context, 'web')).map((p) => p.metadata.name ?? '');
    const seen = new Set<string>();
    await waitFor(
      'an answer of every replica',
      30_000,
      async () => {
        const answer = await call(context.url);
        if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body}`);
        if (!answer.entries.includes(entry)) throw new Error(`the entry is missing: ${answer.body}`);
        seen.add(answer.replica);
        return names.every((n) => seen.has(n)) ? true : undefined;
      },
      () => `${seen.size} of ${names.length} replicas answered`,
    );
    return `${seen.size} replicas answered with the entry`;
  },
};

const restarts = (pod: Pod | undefined): number => pod?.status?.containerStatuses?.[0]?.restartCount ?? 0;

const killOne: Step<DemoContext> = {
  name: 'kill one web container from outside: it is restarted in place',
  run: async (context, say) => {
    const victim = (await podsOf(context, 'web')).find(isPodReady);
    const id = victim?.status?.containerStatuses?.[0]?.containerID?.replace(/^.*:\/\//, '') ?? '';
    const name = victim?.metadata.name ?? '';
    const before = restarts(victim);
    say(`killed process ${killContainer(id)} of ${name}`);
    const after = await waitFor('the restart', 60_000, async () => {
      const pod = await context.client.get<Pod>(PODS, NAMESPACE, name);
      return pod && restarts(pod) > before && isPodReady(pod) ? pod : undefined;
    });
    return `${name} is ready again after ${restarts(after)} restart(s)`;
  },
};

const deleteOne: Step<DemoContext> = {
  name: 'delete one web pod: its replica set replaces it',
  run: async (context) => {
    const before = await podsOf(context, 'web');
    const victim = before[0]?.metadata.name ?? '';
    await context.client.delete(PODS, NAMESPACE, victim);
    const fresh = await waitFor('the new pod', 60_000, async () => {
      const pods = await podsOf(context, 'web');
      const isNew = (p: Pod) => !before.some((b) => b.metadata.uid === p.metadata.uid);
      const gone = pods.every((p) => p.metadata.name !== victim);
      return gone && pods.filter(isPodReady).length === 3 ? pods.find(isNew) : undefined;
    });
    return `${victim} went, ${fresh.metadata.name} came`;
  },
};

const scale: Step<DemoContext> = {
  name: 'scale to five replicas',
  run: async (context) => {
    const body = { spec: { replicas: 5 } };
    await context.client.patch(DEPLOYMENTS, NAMESPACE, 'web', { type: 'merge', body }, { subresource: 'scale' });
    const d = await rolledOut(context, 'web', 60_000);
    return `${d.status?.availableReplicas} replicas available`;
  },
};

const rollOut: Step<DemoContext> = {
  name: 'roll out version 2 under continuous traffic',
  run: async (context, say) => {
    const traffic = startTraffic(context.url, 4);
    let done: Awaited<ReturnType<typeof traffic.stop>> | undefined;
    try {
      await release(context, '2', 'skiff.local/guestbook:2');
      await rolledOut(context, 'web', 120_000);
      await new Promise((resolve) => setTimeout(resolve, 500));
    } finally {
      done = await traffic.stop();
    }
    const spread = [...done.versions].map(([v, n]) => `${n} by version ${v}`).join(', ');
    say(`${done.requests} requests: ${spread}`);
    if (done.failures.length > 0)
      throw new Error(`${done.failures.length} requests failed, the first: ${done.failures[0]}`);
    if ((await call(context.url)).version !== '2') throw new Error('version 2 does not answer');
    return `no request of ${done.requests} failed`;
  },
};

const breakAndUndo: Step<DemoContext> = {
  name: 'roll out a broken version 3, see it stuck, roll back',
  run: async (context, say) => {
    await release(context, '3', 'skiff.local/guestbook:3-missing');
    const why = await waitFor('the stuck rollout', 60_000, async () => {
      const d = await deployment(context, 'web');
      return d.status?.conditions?.find((c) => c.type === 'Progressing' && c.reason === 'ProgressDeadlineExceeded');
    });
    const waiting = (await podsOf(context, 'web'))
      .map((p) => p.status?.containerStatuses?.[0]?.state?.waiting?.reason)
      .find(Boolean);
    say(`${why.reason}; the new pod waits: ${waiting}`);
    const answer = await call(context.url);
    if (answer.version !== '2') throw new Error(`version ${answer.version} answers, not 2`);
    await undo(context);
    await rolledOut(context, 'web', 60_000);
    return `version ${(await call(context.url)).version} is whole again`;
  },
};

/** What `kubectl rollout undo` does: the pod template of the revision before the newest comes back. */
const undo = async (context: DemoContext): Promise<void> => {
  const d = await deployment(context, 'web');
  const revision = (rs: ReplicaSet): number =>
    Number(rs.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0);
  const sets = (await context.client.list<ReplicaSet>(REPLICA_SETS, { namespace: NAMESPACE })).items
    .filter((rs) => rs.metadata.ownerReferences?.some((r) => r.uid === d.metadata.uid))
    .sort((a, b) => revision(b) - revision(a));
  const template = structuredClone(sets[1]?.spec?.template);
  if (!template) throw new Error('there is no revision to go back to');
  delete template.metadata?.labels?.['pod-template-hash'];
  const body = [{ op: 'replace', path: '/spec/template', value: template }];
  await context.client.patch(DEPLOYMENTS, NAMESPACE, 'web', { type: 'json', body });
};

const job: Step<DemoContext> = {
  name: 'run a Job to completion, print its log',
  run: async (context, say) => {
    for (const object of objectsIn('job.yaml')) await apply(context.client, object);
    await waitFor('the job', 60_000, async () => {
      const found = await context.client.get<Job>(JOBS, NAMESPACE, 'count');
      const failed = found?.status?.conditions?.find((c) => c.type === 'Failed' && c.status === 'True');
      if (failed) throw new Error(`the job failed: ${failed.message}`);
      return found?.status?.conditions?.some((c) => c.type === 'Complete' && c.status === 'True') ? found : undefined;
    });
    const selector = { namespace: NAMESPACE, labelSelector: 'batch.kubernetes.io/job-name=count' };
    const pod = (await context.client.list<Pod>(PODS, selector)).items[0]?.metadata.name ?? '';
    const response = await context.client.raw('GET', `/api/v1/namespaces/${NAMESPACE}/pods/${pod}/log`);
    const log = (await response.text()).trim();
    say(`${pod}: ${log}`);
    if (!/^entries: [1-9]/.test(log)) throw new Error(`the job's log is "${log}"`);
    return 'the job is complete';
  },
};

const exec: Step<DemoContext> = {
  name: 'exec a command in a pod, print its output',
  run: async (context, say) => {
    const pod = (await podsOf(context, 'web')).find(isPodReady)?.metadata.name ?? '';
    const command = [
      '/usr/bin/node',
      '-p',
      '"node " + process.version + " as pid " + process.pid + " of " + os.hostname()',
    ];
    const got = await execInPod(context.access, { namespace: NAMESPACE, pod, command });
    if (got.exitCode !== 0) throw new Error(`exit code ${got.exitCode}: ${got.stderr}`);
    say(got.stdout.trim());
    if (!got.stdout.includes(pod)) throw new Error(`the output does not name ${pod}`);
    return 'exit code 0';
  },
};

/** The application's part of the demo, after the cluster is up. */
export const applicationSteps: readonly Step<DemoContext>[] = [
  deploy,
  writeAndRead,
  killOne,
  deleteOne,
  scale,
  rollOut,
  breakAndUndo,
  job,
  exec,
];
