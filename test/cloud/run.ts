// The cloud mode on local stand-ins: npm run test:cloud. Deploys the stack with the real CDK to MiniStack, joins a node
// with real containers, runs the guestbook through the deployed functions, and takes all of it away again.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { readDeployment } from '../../cli/cloud/deployment.ts';
import { redisImage, webImage } from '../../cli/demo/images.ts';
import { takeDown } from '../../cli/down.ts';
import { loadImages } from '../../cli/image/load.ts';
import { ensureContainerTools, mayInstall } from '../../cli/setup.ts';
import { freePort } from '../free-port.ts';
import { type MiniStack, startMiniStack } from './ministack.ts';
import { forwarded } from './port-forward.ts';
import { kubectl, type Running, skiff, startSkiff } from './processes.ts';
import { itemsWith } from './table-values.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/guestbook');
const scratch = mkdtempSync(join(tmpdir(), 'skiff-cloud-'));
const data = join(scratch, 'deployment');
const edge = join(scratch, 'edge');
const kubeconfig = join(data, 'kubeconfig');
const k = (...args: string[]): Promise<string> => kubectl(kubeconfig, args);
const rollout = (name: string) => k('-n', 'guestbook', 'rollout', 'status', `deployment/${name}`, '--timeout=90s');

let stack: MiniStack | undefined;
let gateway = '';
const running: Running[] = [];
let passed = 0;

const step = async (name: string, run: () => Promise<string | undefined>): Promise<void> => {
  const began = performance.now();
  const saw = await run();
  passed++;
  console.log(`ok ${passed} ${name}${saw ? `: ${saw}` : ''} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
};

const ensure = (fact: unknown, otherwise: string): void => {
  if (!fact) throw new Error(otherwise);
};

const started = (): MiniStack => {
  if (!stack) throw new Error('MiniStack does not run');
  return stack;
};

/** Asks until an answer comes, or throws the last failure. */
const eventually = async <T>(timeoutMs: number, ask: () => Promise<T>): Promise<T> => {
  const until = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > until) throw error;
      await delay(200);
    }
  }
};

const client = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };

const deploySteps = async (): Promise<void> => {
  await step('MiniStack starts', async () => {
    stack = await startMiniStack(scratch);
    return undefined;
  });
  await step('skiff deploy puts the stack there with the CDK', async () => {
    gateway = `https://127.0.0.1:${await freePort()}`;
    const output = await skiff(['deploy', '--endpoint', started().endpoint, '--gateway', gateway, '--data', data]);
    return /stack .*/.exec(output)?.[0];
  });
  await step('a gateway waits for the agents of nodes', async () => {
    const { port } = new URL(gateway);
    running.push(await startSkiff(['gateway', '--data', data, '--port', port], 'gateway on', 20_000));
    return undefined;
  });
  await step('a front gives kubectl its TLS', async () => {
    running.push(await startSkiff(['front', '--data', data, '--port', '0'], 'export KUBECONFIG', 20_000));
    const namespaces = await k('get', 'namespaces', '-o', 'name');
    ensure(namespaces.includes('namespace/kube-system'), namespaces);
    return namespaces.trim().split('\n').length === 4 ? '4 namespaces' : namespaces;
  });
  await step('secrets and keys lie encrypted in the table, under a key of KMS', async () => {
    await k('create', 'secret', 'generic', 'canary', '--from-literal=value=canary-of-the-cloud');
    const { table, kmsKey } = readDeployment(data);
    const canary = Buffer.from('canary-of-the-cloud').toString('base64');
    const found = await itemsWith({ ...client, endpoint: started().endpoint }, table, [canary, 'PRIVATE KEY']);
    ensure(found.length === 0, `plain in ${found.join(', ')}`);
    ensure((await k('get', 'secret', 'canary', '-o', 'jsonpath={.data.value}')) === canary, 'it cannot be read');
    const said = await skiff(['keys', 'status', '--data', data]);
    ensure(said.includes('kms:skiff:') && !said.includes('identity'), said);
    return kmsKey;
  });
  await step('a node with containers joins by its token', async () => {
    await ensureContainerTools({ yes: mayInstall(true), say: console.log });
    const token = (await skiff(['node', 'token', '--nodes', 'edge-', '--data', data])).trim();
    const { url } = readDeployment(data);
    const by = ['--server', url, '--token', token, '--name', 'edge-1'];
    const join_ = ['node', 'join', ...by, '--runtime', 'cri', '--yes', '--data', edge];
    running.push(await startSkiff(join_, 'node edge-1 Ready', 60_000));
    return (await k('get', 'nodes', '--no-headers')).trim();
  });
};

const web = (): Promise<string> =>
  eventually(30_000, async () => {
    const answer = await fetch('http://127.0.0.1:30080/entries', { method: 'POST', body: 'from the cloud test' });
    ensure(answer.status === 201, `the node port answers ${answer.status}`);
    return `the node port answers ${answer.status}`;
  });

/** Asks the API who it is, as a program in a pod does: by its name, with the authority and the token that it was given. */
const WHO = `
const {readFileSync}=require('fs'),{request}=require('https'),d='/var/run/secrets/kubernetes.io/serviceaccount/';
const r=request('https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews',{method:'POST',
ca:readFileSync(d+'ca.crt'),headers:{authorization:'Bearer '+readFileSync(d+'token'),'content-type':'application/json'}},
a=>{let t='';a.on('data',c=>t+=c).on('end',()=>console.log(a.statusCode,JSON.parse(t).status.userInfo.username))});
r.on('error',e=>console.log(e.message));r.end('{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}')`;

const nodeSteps = async (): Promise<void> => {
  await step('logs of a pod come through the gateway', async () => {
    const log = await eventually(10_000, () => k('-n', 'guestbook', 'logs', 'deployment/redis'));
    ensure(log.includes('Ready to accept connections'), log);
    return undefined;
  });
  await step('exec runs a program in a pod, which trusts and reaches the API', async () => {
    const said = await k('-n', 'guestbook', 'exec', 'deployment/web', '--', '/usr/bin/node', '-e', WHO);
    ensure(said.trim() === '201 system:serviceaccount:guestbook:default', said);
    return said.trim();
  });
  await step('a port is forwarded to a pod', async () => {
    const answer = await forwarded(kubeconfig, ['-n', 'guestbook', 'service/web', ':80'], '/');
    ensure(answer.includes('from the cloud test'), answer);
    return undefined;
  });
  await step('a node that comes back needs no token, and keeps its containers', async () => {
    const ids = () => k('-n', 'guestbook', 'get', 'pods', '-o', 'jsonpath={..containerID}');
    const before = await ids();
    await running.pop()?.stop();
    running.push(await startSkiff(['node', 'join', '--runtime', 'cri', '--data', edge], 'node edge-1 Ready', 60_000));
    await k('-n', 'guestbook', 'wait', '--for=condition=Ready', 'pods', '--all', '--timeout=60s');
    ensure((await ids()) === before, 'other containers run');
    return undefined;
  });
};

const applicationSteps = async (): Promise<void> => {
  await step('images are loaded into the node', async () => {
    const redis = redisImage();
    try {
      return `${await loadImages(edge, 'cri', [redis.spec, webImage('1'), webImage('2')], () => {})} images`;
    } finally {
      redis.done();
    }
  });
  await step('the guestbook runs through the deployed functions', async () => {
    await k('apply', '-f', join(EXAMPLE, 'guestbook.yaml'));
    await rollout('redis');
    await rollout('web');
    return web();
  });
  await nodeSteps();
  await step('a deployment of changed code serves on meanwhile', async () => {
    let asked = 0;
    let over = false;
    const asking = (async () => {
      while (!over) {
        await k('-n', 'guestbook', 'get', 'pods', '-o', 'name');
        asked++;
      }
    })();
    await skiff([
      'deploy',
      '--endpoint',
      started().endpoint,
      '--gateway',
      gateway,
      '--data',
      data,
      '--retention-hours',
      '2',
    ]);
    over = true;
    await asking;
    ensure(asked > 3, `asked only ${asked} times`);
    return `${asked} requests, none failed`;
  });
  await step('a snapshot becomes a second cluster, which the functions go on with', async () => {
    const file = join(scratch, 'snapshot');
    const saved = await skiff(['snapshot', 'save', file, '--data', data]);
    await skiff(['snapshot', 'restore', file, '--cluster', 'copy', '--data', data]);
    const copy = join(scratch, 'copy.kubeconfig');
    writeFileSync(copy, readFileSync(kubeconfig, 'utf8').replace(/(server: \S+)/, '$1/clusters/copy'));
    const inCopy = (...args: string[]): Promise<string> => kubectl(copy, ['-n', 'guestbook', ...args]);
    const uid = ['get', 'deployment/redis', '-o', 'jsonpath={.metadata.uid}'];
    ensure((await inCopy(...uid)) === (await k('-n', 'guestbook', ...uid)), 'the copy has other uids');
    // Nobody runs its pods: only the control plane's part of a scale can be seen.
    await inCopy('scale', 'deployment/web', '--replicas=4');
    await eventually(60_000, async () => {
      const replicas = await inCopy('get', 'deployment/web', '-o', 'jsonpath={.status.replicas}');
      ensure(replicas.trim() === '4', `${replicas} replicas`);
    });
    ensure(
      (await k('-n', 'guestbook', 'get', 'deployment/web', '-o', 'jsonpath={.spec.replicas}')) === '3',
      'both scaled',
    );
    return /\d+ objects.*/.exec(saved)?.[0];
  });
  await step('functions killed in the middle lose nothing', async () => {
    await k('-n', 'guestbook', 'scale', 'deployment/web', '--replicas=5');
    let killed = 0;
    for (let i = 0; i < 10; i++) {
      for (const pid of started().functionProcesses()) {
        process.kill(pid, 'SIGKILL');
        killed++;
      }
      await delay(100);
    }
    await eventually(120_000, () => rollout('web'));
    const ready = await k('-n', 'guestbook', 'get', 'deployment/web', '-o', 'jsonpath={.status.readyReplicas}');
    ensure(ready.trim() === '5', `${ready} replicas are ready`);
    return `${killed} processes killed, 5 replicas ready`;
  });
  await step('deleting the namespace ends all of it', async () => {
    await k('delete', 'namespace', 'guestbook', '--timeout=90s');
    const left = await k('get', 'pods', '-A', '-o', 'name');
    ensure(left.trim() === '', `pods are left: ${left}`);
    return undefined;
  });
};

const destroySteps = async (): Promise<void> => {
  await step('skiff destroy leaves nothing', async () => {
    const { endpoint } = started();
    await stopRunning();
    await skiff(['destroy', '--data', data]);
    const tables = await new DynamoDBClient({ ...client, endpoint }).send(new ListTablesCommand({}));
    ensure(tables.TableNames?.length === 0, `tables are left: ${tables.TableNames}`);
    const stacks = await new CloudFormationClient({ ...client, endpoint }).send(new DescribeStacksCommand({}));
    const alive = stacks.Stacks?.filter((s) => s.StackName === 'Skiff' && s.StackStatus !== 'DELETE_COMPLETE') ?? [];
    ensure(alive.length === 0, `the stack is ${alive[0]?.StackStatus}`);
    return undefined;
  });
};

const stopRunning = async (): Promise<void> => {
  for (const one of running.splice(0).reverse()) await one.stop();
};

let failed = 0;
try {
  await deploySteps();
  await applicationSteps();
  await destroySteps();
} catch (error) {
  failed++;
  console.log(error instanceof Error ? (error.stack ?? error.message) : error);
  for (const one of running) console.log(one.output().slice(-2000));
} finally {
  await stopRunning();
  await takeDown(edge, { purge: true, say: () => {} }).catch((error) => console.log(error));
  await stack?.stop();
  if (failed === 0) rmSync(scratch, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
