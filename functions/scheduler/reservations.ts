import type { Pod } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { ClusterObjects, Promised } from './cluster-objects.ts';

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

/** Pods that wait for their volumes; `promised` is what other pods must respect meanwhile. */
export const createReservations = (promised: Promised) => {
  const reservations = new Map<string, Reservation>();
  let seen = '';
  return {
    add(reservation: Reservation): void {
      reservations.set(reservation.pod.metadata.uid ?? '', reservation);
      for (const { volume, claim } of reservation.volumes) promised.volumes.set(volume, claim);
      for (const claim of reservation.claims) promised.claims.set(claim, reservation.node);
    },
    drop(uid: string): void {
      const dropped = reservations.get(uid);
      if (!dropped) return;
      reservations.delete(uid);
      for (const { volume } of dropped.volumes) promised.volumes.delete(volume);
      const kept = new Set([...reservations.values()].flatMap((r) => r.claims));
      for (const claim of dropped.claims) if (!kept.has(claim)) promised.claims.delete(claim);
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
