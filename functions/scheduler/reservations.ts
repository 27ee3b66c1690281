import type { Pod } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { ClusterObjects } from './cluster-objects.ts';

/** A pod that has a node, and is bound to it once its claims have their volumes. */
export interface Reservation {
  pod: Pod;
  node: string;
  /** `namespace/name` of the claims it waits for. */
  claims: readonly string[];
  /** Volumes promised to claims. */
  volumes: readonly { volume: string; claim: string }[];
  /** Given up at this time, in milliseconds since the epoch. */
  until: number;
}

const versions = (objects: Iterable<KubeObject>): string => {
  let out = '';
  for (const o of objects) out += `${o.metadata.uid}:${o.metadata.resourceVersion},`;
  return out;
};

/** Pods that wait for their volumes; `promised` (volume by claim) is what other pods must leave alone meanwhile. */
export const createReservations = (promised: Map<string, string>) => {
  const reservations = new Map<string, Reservation>();
  let seen = '';
  return {
    add(reservation: Reservation): void {
      reservations.set(reservation.pod.metadata.uid ?? '', reservation);
      for (const { volume, claim } of reservation.volumes) promised.set(volume, claim);
    },
    drop(uid: string): void {
      for (const { volume } of reservations.get(uid)?.volumes ?? []) promised.delete(volume);
      reservations.delete(uid);
    },
    all: (): Reservation[] => [...reservations.values()],
    /** When the next one is given up. */
    next(): number | undefined {
      let first: number | undefined;
      for (const { until } of reservations.values()) if (first === undefined || until < first) first = until;
      return first;
    },
    /** Whether anything about volumes changed since the last call. */
    changed(objects: ClusterObjects): boolean {
      const { claims, volumes, classes, csiNodes, csiDrivers, capacities } = objects;
      const lists = [claims.values(), volumes.values(), classes.values(), csiNodes.values(), csiDrivers.values()];
      const now = [...lists.map(versions), versions(capacities)].join(';');
      const differs = now !== seen;
      seen = now;
      return differs;
    },
  };
};
