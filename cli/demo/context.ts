import type { Client } from '../../functions/client/client.ts';
import type { Deployment, Node, Pod } from '../../functions/machinery/kinds.d.ts';
import type { GroupVersionResource, KubeObject } from '../../functions/machinery/object.ts';

/** What the steps share. */
export interface DemoContext {
  client: Client;
  /** `https://127.0.0.1:6443` and how to be let in: for streams, which the client does not carry. */
  access: { server: string; caCert: string; token: string };
  /** Front end through its node port. */
  url: string;
}

export const NAMESPACE = 'guestbook';
export const DEPLOYMENTS: GroupVersionResource = { group: 'apps', version: 'v1', resource: 'deployments' };
export const REPLICA_SETS: GroupVersionResource = { group: 'apps', version: 'v1', resource: 'replicasets' };
export const PODS: GroupVersionResource = { group: '', version: 'v1', resource: 'pods' };
export const NODES: GroupVersionResource = { group: '', version: 'v1', resource: 'nodes' };
export const JOBS: GroupVersionResource = { group: 'batch', version: 'v1', resource: 'jobs' };

const RESOURCES: Record<string, GroupVersionResource> = {
  Namespace: { group: '', version: 'v1', resource: 'namespaces' },
  ConfigMap: { group: '', version: 'v1', resource: 'configmaps' },
  Service: { group: '', version: 'v1', resource: 'services' },
  Deployment: DEPLOYMENTS,
  Job: JOBS,
};

/** Applies one object of the example by server-side apply, as manager `skiff-demo`. */
export const apply = async (client: Client, object: KubeObject): Promise<void> => {
  const resource = RESOURCES[object.kind ?? ''];
  if (!resource) throw new Error(`the demo does not know the kind ${object.kind}`);
  const { namespace = '', name = '' } = object.metadata;
  const options = { fieldManager: 'skiff-demo', force: true };
  await client.patch(resource, namespace, name, { type: 'apply', body: object }, options);
};

const condition = (conditions: readonly { type: string; status: string }[] | undefined, type: string): boolean =>
  conditions?.some((c) => c.type === type && c.status === 'True') ?? false;

export const isNodeReady = (node: Node): boolean => condition(node.status?.conditions, 'Ready');
export const isPodReady = (pod: Pod): boolean =>
  condition(pod.status?.conditions, 'Ready') && pod.metadata.deletionTimestamp === undefined;

/** All replicas updated and available, none of the old left: what `kubectl rollout status` waits for. */
export const isRolledOut = (d: Deployment): boolean => {
  const want = d.spec?.replicas ?? 1;
  const s = d.status ?? {};
  return (
    (s.observedGeneration ?? 0) >= (d.metadata.generation ?? 0) &&
    s.updatedReplicas === want &&
    s.replicas === want &&
    s.availableReplicas === want
  );
};

export const podsOf = async (context: DemoContext, app: string): Promise<Pod[]> =>
  (await context.client.list<Pod>(PODS, { namespace: NAMESPACE, labelSelector: `app=${app}` })).items;

export const deployment = async (context: DemoContext, name: string): Promise<Deployment> => {
  const found = await context.client.get<Deployment>(DEPLOYMENTS, NAMESPACE, name);
  if (!found) throw new Error(`deployment ${name} is gone`);
  return found;
};
