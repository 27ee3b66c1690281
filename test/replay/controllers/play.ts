import { timestamp } from '../../../functions/clock/clock.ts';
import type { CertificateSigningRequest, Event, Pod } from '../../../functions/machinery/kinds.d.ts';
import { type KubeObject, parseGroupVersion } from '../../../functions/machinery/object.ts';
import { requestOf } from './certificates.ts';
import { createMatcher } from './match.ts';
import { type Normal, normalForm } from './normal-form.ts';
import { type PodPreset, podStatus } from './presets.ts';
import { createWorld, typeOfKind, types, type World } from './world.ts';

export interface Expectation {
  objects?: Normal[];
  gone?: string[];
  counts?: Record<string, number>;
  events?: { reason: string; type: string; kind: string; name: string; by: string; n: number }[];
}
// biome-ignore lint/suspicious/noExplicitAny: the recordings are JSON of many shapes
type Step = any;
export interface Scenario {
  id: string;
  controller: string;
  title: string;
  steps: Step[];
}

export interface Played {
  ok: boolean;
  differences: string[];
}

const hidden = new Set(['Event', 'Lease', 'StorageClass']);
const sharedNodes = ['shared-n1', 'shared-n2', 'shared-n3'];

/** Plays one scenario; the first expectation that differs ends it. */
export const play = async (scenario: Scenario): Promise<Played> => {
  const world = await createWorld();
  try {
    return await playIn(world, scenario.controller === 'cronjob' ? withoutMinutes(scenario) : scenario);
  } catch (error) {
    return { ok: false, differences: [String(error instanceof Error ? error.stack : error), ...world.failures] };
  } finally {
    world.stop();
  }
};

const playIn = async (world: World, scenario: Scenario): Promise<Played> => {
  const { client } = world.api;
  const namespace = scenario.id;
  const namespaceType = typeOfKind('Namespace');
  await client.create(namespaceType, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (const name of sharedNodes) await addNode(world, { name });
  await world.quiet();
  const matcher = createMatcher(false);
  const symbols = createSymbols(world, namespace);
  const events = eventCounter(world);
  events.delta();
  const uids = new Map<string, string>();
  for (const [i, step] of scenario.steps.entries()) {
    if (step.expect) {
      await world.quiet();
      const actual = visible(world, scenario, uids, symbols.known);
      const differences = matcher.compare(step.expect, actual, symbols.told(events.delta()));
      if (world.failures.length > 0) differences.push(...world.failures);
      if (differences.length > 0) return { ok: false, differences: [`step ${i}`, ...differences] };
    } else if (step.do)
      await perform(world, namespace, step, (name) => nthCreated(world, namespace, symbols.real(matcher.actual(name))));
    await world.pass(0);
  }
  return { ok: true, differences: [] };
};

const ipNames = (world: World): Map<string, string> => {
  const names = new Map<string, string>();
  for (const pod of world.api.all(typeOfKind('Pod')) as Pod[]) {
    if (pod.status?.podIP) names.set(pod.status.podIP, `<ip:${pod.metadata.name}>`);
  }
  return names;
};

const visible = (
  world: World,
  scenario: Scenario,
  uids: Map<string, string>,
  symbols: ReadonlyMap<string, string>,
): Normal[] => {
  const ips = ipNames(world);
  const list: Normal[] = [];
  for (const resource of world.api.resources()) {
    for (const object of world.api.all(resource)) {
      const { kind = '', metadata } = object;
      uids.set(metadata.uid ?? '-', `<uid:${kind}/${metadata.name}>`);
      if (hidden.has(kind)) continue;
      if (kind === 'Node' && (scenario.controller !== 'nodelifecycle' || sharedNodes.includes(metadata.name ?? '')))
        continue;
      if (kind === 'Namespace' && scenario.controller !== 'namespace') continue;
      if (metadata.namespace && metadata.namespace !== scenario.id) continue;
      if (scenario.controller !== 'namespace') {
        if (kind === 'ServiceAccount' && metadata.name === 'default') continue;
        if (kind === 'ConfigMap' && (metadata.name === 'kube-root-ca.crt' || scenario.controller === 'resourcequota'))
          continue;
      }
      list.push(normalForm(object, ips));
    }
  }
  let text = JSON.stringify(list);
  for (const [uid, name] of uids) text = text.replaceAll(uid, name);
  for (const [name, symbol] of symbols) text = text.replaceAll(name, symbol);
  return JSON.parse(text) as Normal[];
};

/**
 * The recordings name a daemon's pod after its node (`d-<node#2>` is the second that was made for that node) and a cron
 * job's minutes in order (`c-<minute1>`).
 */
const createSymbols = (world: World, namespace: string) => {
  const known = new Map<string, string>();
  const counts = new Map<string, number>();
  const next = (base: string): number => {
    const count = (counts.get(base) ?? 0) + 1;
    counts.set(base, count);
    return count;
  };
  world.api.onChange(({ resource, object, previous }) => {
    const { metadata, spec } = object as Pod;
    if (previous || metadata.namespace !== namespace) return;
    const owner = metadata.ownerReferences?.find((reference) => reference.controller)?.kind;
    if (resource.resource === 'pods' && owner === 'DaemonSet') {
      const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
      const base = `${metadata.generateName}<${terms?.[0]?.matchFields?.[0]?.values?.[0]}#`;
      known.set(metadata.name ?? '', `${base}${next(base)}>`);
    }
    const minute = /-(\d+)$/.exec(metadata.name ?? '')?.[1];
    if (resource.resource === 'jobs' && owner === 'CronJob' && minute) known.set(minute, `<minute${next('minute')}>`);
  });
  const replaced = (text: string): string => {
    let result = text;
    for (const [real, symbol] of known) result = result.replaceAll(real, symbol);
    return result;
  };
  return {
    known: known as ReadonlyMap<string, string>,
    told: <T>(value: T): T => JSON.parse(replaced(JSON.stringify(value))) as T,
    real: (name: string): string => {
      let result = name;
      for (const [real, symbol] of known) result = result.replaceAll(symbol, real);
      return result;
    },
  };
};

/** Names of pods keep the minute of the recording; here it becomes the symbol that the rest of the scenario has. */
const withoutMinutes = (scenario: Scenario): Scenario => {
  let text = JSON.stringify(scenario);
  const minutes = [...new Set([...text.matchAll(/-(\d{8})-</g)].map(([, minute]) => minute ?? ''))].sort();
  for (const [i, minute] of minutes.entries()) text = text.replaceAll(minute, `<minute${i + 1}>`);
  return JSON.parse(text) as Scenario;
};

/** A generated name that no expectation has shown yet: the n-th pod of that prefix in order of creation. */
const nthCreated = (world: World, namespace: string, name: string): string => {
  const [, prefix, n] = /^(.*)<(\d+)>$/.exec(name) ?? [];
  if (prefix === undefined) return name;
  const list = world.api.all(typeOfKind('Pod')).filter((pod) => pod.metadata.namespace === namespace);
  const mine = list.filter((pod) => pod.metadata.generateName === prefix);
  return mine[Number(n) - 1]?.metadata.name ?? name;
};

const eventCounter = (world: World) => {
  let before = new Map<string, number>();
  return {
    delta() {
      const now = new Map<string, number>();
      for (const event of world.api.all(typeOfKind('Event', '')) as Event[]) {
        const { involvedObject: about, reason, type, source } = event;
        if (sharedNodes.includes(about.name ?? '')) continue;
        const id = JSON.stringify({ reason, type, kind: about.kind, name: about.name, by: source?.component });
        now.set(id, (now.get(id) ?? 0) + (event.count ?? 1));
      }
      const delta = [...now].flatMap(([id, n]) => {
        const more = n - (before.get(id) ?? 0);
        return more > 0 ? [{ ...JSON.parse(id), n: more }] : [];
      });
      before = now;
      return delta as NonNullable<Expectation['events']>;
    },
  };
};

const addNode = async (world: World, step: Step) => {
  const { client } = world.api;
  const nodes = typeOfKind('Node');
  const spec = { ...(step.taints && { taints: step.taints }), ...(step.unschedulable && { unschedulable: true }) };
  const metadata = { name: step.name, labels: { 'kubernetes.io/hostname': step.name, ...step.labels } };
  await client.create(nodes, { apiVersion: 'v1', kind: 'Node', metadata, spec } as KubeObject);
  const time = timestamp(world.now());
  const status = step.ready === false ? 'False' : 'True';
  const ready = { type: 'Ready', status, reason: 'KubeletReady', lastHeartbeatTime: time, lastTransitionTime: time };
  const body = { status: { conditions: [ready] } };
  await world.beat(step.name, true);
  await client.patch(nodes, '', step.name, { type: 'merge', body }, { subresource: 'status' });
};

const filled = (world: World, value: unknown): unknown => {
  let text = JSON.stringify(value).replaceAll('<time>', timestamp(world.now()));
  text = text.replace(/<uid:([A-Za-z]+)\/([^>]+)>/g, (whole, kind, name) => {
    const found = world.api.all(typeOfKind(kind)).find((object) => object.metadata.name === name);
    return found?.metadata.uid ?? whole;
  });
  return JSON.parse(text);
};

const scoped = (kind: string, namespace: string): string => (typeOfKind(kind).namespaced ? namespace : '');

const perform = async (
  world: World,
  namespace: string,
  step: Step,
  actual: (name: string) => string,
): Promise<void> => {
  const { client } = world.api;
  const at = () => scoped(step.kind, step.namespace ?? namespace);
  switch (step.do) {
    case 'create': {
      const object = filled(world, step.object) as KubeObject;
      const { group } = parseGroupVersion(object.apiVersion ?? 'v1');
      const type = types.find((t) => t.kind === object.kind && t.group === group);
      if (!type) throw new Error(`unknown kind ${object.kind}`);
      if (type.namespaced) object.metadata.namespace ??= namespace;
      const { spec } = object as { spec?: { request?: string } };
      if (spec?.request?.startsWith('<csr ')) spec.request = await requestOf(spec.request);
      await client.create(type, object);
      return;
    }
    case 'patch':
    case 'status': {
      const body = filled(world, step.patch);
      const subresource = step.do === 'status' ? { subresource: 'status' } : undefined;
      await client.patch(typeOfKind(step.kind), at(), actual(step.name), { type: 'merge', body }, subresource);
      return;
    }
    case 'delete':
      await client.delete(typeOfKind(step.kind), at(), actual(step.name), {
        ...(step.propagationPolicy && { propagationPolicy: step.propagationPolicy }),
        ...(step.gracePeriodSeconds !== undefined && { gracePeriodSeconds: step.gracePeriodSeconds }),
      });
      return;
    case 'evict':
      if (step.code === 201) await evict(world, namespace, actual(step.pod));
      return;
    case 'finalize':
      for (const name of step.pods) {
        await client.delete(typeOfKind('Pod'), namespace, actual(name), { gracePeriodSeconds: 0 });
      }
      return;
    case 'approve':
    case 'deny':
      return settle(world, actual(step.name), step.do === 'approve' ? 'Approved' : 'Denied');
    case 'node':
      return addNode(world, step);
    case 'stopHeartbeat':
      return world.beat(step.node, false);
    case 'startHeartbeat':
      return world.beat(step.node, true);
    case 'podStatus':
      for (const name of step.pods) await setPodStatus(world, namespace, actual(name), step);
      return;
    case 'wait':
      return step.until ? waitUntil(world, step, namespace) : world.pass(step.seconds * 1000);
    default:
      throw new Error(`step ${step.do} is not one that the harness plays`);
  }
};

/** What `kubectl certificate approve` and `deny` do. */
const settle = async ({ api, now }: World, name: string, type: string): Promise<void> => {
  const requests = typeOfKind('CertificateSigningRequest');
  const found = await api.client.get<CertificateSigningRequest>(requests, '', name);
  if (!found) throw new Error(`there is no request ${name}`);
  const time = timestamp(now());
  const condition = { type, status: 'True', reason: 'Test', lastUpdateTime: time, lastTransitionTime: time };
  const status = { ...found.status, conditions: [...(found.status?.conditions ?? []), condition] };
  await api.client.update(requests, { ...found, status }, { subresource: 'approval' });
};

/** What the API's eviction does to a pod once the budget has granted it. */
const evict = async (world: World, namespace: string, name: string): Promise<void> => {
  const { client } = world.api;
  const pods = typeOfKind('Pod');
  const pod = await client.get<Pod>(pods, namespace, name);
  const target = { type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' };
  const conditions = [...(pod?.status?.conditions ?? []), { ...target, lastTransitionTime: timestamp(world.now()) }];
  await client.patch(
    pods,
    namespace,
    name,
    { type: 'merge', body: { status: { conditions } } },
    { subresource: 'status' },
  );
  await client.delete(pods, namespace, name);
};

const setPodStatus = async (world: World, namespace: string, name: string, step: PodPreset & { bind?: string }) => {
  const { client } = world.api;
  const pods = typeOfKind('Pod');
  if (step.bind) {
    const body = { spec: { nodeName: step.bind } };
    await client.patch(pods, namespace, name, { type: 'merge', body });
  }
  const pod = await client.get<Pod>(pods, namespace, name);
  if (!pod) throw new Error(`there is no pod ${name}`);
  const body = { status: podStatus(pod, step, world.now()) };
  await client.patch(pods, namespace, name, { type: 'merge', body }, { subresource: 'status' });
};

const waitUntil = async (world: World, step: { until: string; max: number }, namespace: string): Promise<void> => {
  const of = (kind: string) => world.api.all(typeOfKind(kind)).filter((o) => o.metadata.namespace === namespace);
  const before = new Set(of('Pod').map((pod) => pod.metadata.uid));
  const count = /^(\d+) (job|pod)s?$/.exec(step.until);
  const gone = /^(\S+) gone$/.exec(step.until)?.[1];
  const met = (): boolean => {
    if (count) return of(count[2] === 'job' ? 'Job' : 'Pod').length === Number(count[1]);
    if (gone) {
      return ![...of('Pod'), ...world.api.all(typeOfKind('Namespace'))].some((o) => o.metadata.name === gone);
    }
    if (step.until.includes('taint')) {
      return world.api
        .all(typeOfKind('Node'))
        .some((node) => JSON.stringify(node).includes('unreachable","effect":"NoExecute'));
    }
    return of('Pod').some((pod) => !before.has(pod.metadata.uid));
  };
  for (let s = 0; s < step.max && !met(); s++) await world.pass(1_000);
};
