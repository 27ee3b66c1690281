import type { Pod, Container as SpecContainer } from '../../functions/machinery/kinds.d.ts';
import type { ContainerSpec } from '../runtime/runtime.ts';

/** The volumes of this node's pods. Adapters: node-volumes.ts (directories and mounts), and `noVolumes` for hollow nodes. */
export interface Volumes {
  /** Makes every volume of the pod ready. Throws RuntimeError FailedMount, saying which and why. Idempotent. */
  prepare(pod: Pod): Promise<void>;
  /** What one container mounts; `environment` serves subPathExpr. */
  mounts(
    pod: Pod,
    container: SpecContainer,
    environment: ReadonlyMap<string, string>,
  ): Promise<ContainerSpec['mounts']>;
  /** Writes again what changed in ConfigMaps, Secrets, labels and tokens; called about once a minute and on changes. */
  refresh(pod: Pod): Promise<void>;
  /** Unmounts and removes everything of a pod. Idempotent. */
  clean(uid: string): Promise<void>;
}

export const noVolumes: Volumes = {
  prepare: () => Promise.resolve(),
  mounts: () => Promise.resolve([]),
  refresh: () => Promise.resolve(),
  clean: () => Promise.resolve(),
};
