import type { Client } from '../client/client.ts';
import { failureOf } from '../client/fetch-client.ts';
import { type Clock, timestamp } from '../clock/clock.ts';
import type { PersistentVolumeClaim, Pod } from '../machinery/kinds.d.ts';
import { StatusError } from '../machinery/status.ts';
import { BOUND_BY_CONTROLLER, SELECTED_NODE } from './claims.ts';
import type { PodInfo } from './framework.ts';
import { REASON } from './preempt.ts';
import type { VolumePlan } from './volume-matching.ts';

const PODS = { group: '', version: 'v1', resource: 'pods' };
const CLAIMS = { group: '', version: 'v1', resource: 'persistentvolumeclaims' };
const VOLUMES = { group: '', version: 'v1', resource: 'persistentvolumes' };

const refusedByApi = (error: unknown): boolean => error instanceof StatusError && error.code < 500;

/** What the scheduler writes. `true`: done; `false`: the API refused (the pod is gone, or someone was faster). */
export const createSchedulerWrites = (client: Client, clock: Clock) => {
  const attempt = async (write: () => Promise<unknown>): Promise<boolean> => {
    try {
      await write();
      return true;
    } catch (error) {
      if (refusedByApi(error)) return false;
      throw error;
    }
  };
  const patchStatus = (pod: Pod, status: Record<string, unknown>): Promise<boolean> => {
    const { namespace = '', name = '', uid } = pod.metadata;
    const body = { metadata: { uid }, status };
    return attempt(() => client.patch(PODS, namespace, name, { type: 'strategic', body }, { subresource: 'status' }));
  };
  const condition = (pod: Pod, type: string, status: string, reason: string, message: string) => {
    const old = pod.status?.conditions?.find((c) => c.type === type);
    return {
      type,
      status,
      reason,
      message,
      lastTransitionTime: old?.status === status ? old.lastTransitionTime : timestamp(clock.now()),
      observedGeneration: pod.metadata.generation,
    };
  };

  return {
    bind: (pod: Pod, node: string): Promise<boolean> => {
      const { namespace = '', name = '', uid } = pod.metadata;
      const target = { apiVersion: 'v1', kind: 'Node', name: node };
      const body = JSON.stringify({ apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target });
      return attempt(async () => {
        const response = await client.raw('POST', `/api/v1/namespaces/${namespace}/pods/${name}/binding`, {
          headers: { 'content-type': 'application/json' },
          body,
        });
        if (!response.ok) throw await failureOf(response);
        await response.arrayBuffer();
      });
    },
    /** Says why a pod waits, and for which node ('': none); nothing is written when the pod says so already. */
    refuse: async (pod: Pod, message: string, nominated: string): Promise<boolean> => {
      const old = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
      const told = old?.status === 'False' && old.reason === 'Unschedulable' && old.message === message;
      const before = pod.status?.nominatedNodeName ?? '';
      if (told && before === nominated) return false;
      const conditions = [condition(pod, 'PodScheduled', 'False', 'Unschedulable', message)];
      return patchStatus(
        pod,
        before === nominated ? { conditions } : { conditions, nominatedNodeName: nominated || null },
      );
    },
    /** Tells where a pod will go once its volumes are ready. */
    expect: (pod: Pod, node: string): Promise<boolean> =>
      pod.status?.nominatedNodeName === node ? Promise.resolve(true) : patchStatus(pod, { nominatedNodeName: node }),
    /** Deletes a victim, with the reason in its conditions; one that is on its way out already is left alone. */
    evict: async (victim: PodInfo, by: Pod): Promise<boolean> => {
      const { pod } = victim;
      if (victim.terminating) return false;
      const { namespace = '', name = '', uid } = pod.metadata;
      const message = `${by.spec?.schedulerName ?? 'scheduler'}: preempting to accommodate a higher priority pod`;
      const told = await patchStatus(pod, {
        conditions: [condition(pod, 'DisruptionTarget', 'True', REASON, message)],
      });
      return told && attempt(() => client.delete(PODS, namespace, name, uid ? { uid } : {}));
    },
    /** Promises volumes to claims, and names the node where the other claims are provisioned. */
    prepareVolumes: (plan: VolumePlan, node: string): Promise<boolean> =>
      attempt(async () => {
        for (const { claim, volume } of plan.bind) {
          const { namespace, name, uid } = claim.metadata;
          const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid };
          const { uid: volumeUid, resourceVersion } = volume.metadata;
          const metadata = { uid: volumeUid, resourceVersion, annotations: { [BOUND_BY_CONTROLLER]: 'yes' } };
          const body = { metadata, spec: { claimRef } };
          await client.patch(VOLUMES, '', volume.metadata.name ?? '', { type: 'merge', body });
        }
        for (const claim of plan.provision) await select(claim, node);
      }),
  };

  async function select(claim: PersistentVolumeClaim, node: string): Promise<void> {
    const { namespace = '', name = '', uid } = claim.metadata;
    const metadata = { uid, annotations: { [SELECTED_NODE]: node } };
    await client.patch(CLAIMS, namespace, name, { type: 'merge', body: { metadata } });
  }
};
export type SchedulerWrites = ReturnType<typeof createSchedulerWrites>;
