import type { GroupVersionResource } from '../machinery/object.ts';

/** One served resource type that can be listed and deleted: what namespace deletion and garbage collection walk. */
export interface ResourceType extends GroupVersionResource {
  kind: string;
  namespaced: boolean;
}

/** The resource types of a cluster, custom ones included, one version each; from discovery or the registry. */
export type ResourceTypes = (cluster: string) => Promise<readonly ResourceType[]>;
