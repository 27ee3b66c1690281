import type { GroupVersionResource } from '../functions/machinery/object.ts';

const core = (resource: string): GroupVersionResource => ({ group: '', version: 'v1', resource });

/** The resource types that the agent reads and writes. */
export const pods = core('pods');
export const nodes = core('nodes');
export const services = core('services');
export const configMaps = core('configmaps');
export const secrets = core('secrets');
export const events = core('events');
export const persistentVolumes = core('persistentvolumes');
export const persistentVolumeClaims = core('persistentvolumeclaims');
export const serviceAccounts = core('serviceaccounts');
export const leases: GroupVersionResource = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };
