import type { EndpointSlice } from '../../machinery/kinds.d.ts';
import { keyOf } from '../../machinery/object.ts';
import type { PlannedWrite, WatchedChange } from '../controller.ts';
import { expectsOf, targetOf } from '../owners.ts';
import { endpointSlices } from '../resources.ts';

export const serviceName = 'kubernetes.io/service-name';
export const managedBy = 'endpointslice.kubernetes.io/managed-by';

/** The key of the Service that a changed slice belongs to, where this manager made it. */
export const sliceKeysOf =
  (manager: string) =>
  ({ object }: WatchedChange): string[] => {
    const labels = object.metadata.labels ?? {};
    const name = labels[serviceName];
    return name && labels[managedBy] === manager ? [keyOf(object.metadata.namespace, name)] : [];
  };

/** Removes slices that nothing is in any more. */
export const withoutSlices = (slices: Iterable<EndpointSlice>): PlannedWrite[] =>
  Array.from(slices, (slice) => {
    const { uid } = expectsOf(slice);
    return { op: 'delete', resource: endpointSlices, target: targetOf(slice), expects: { uid } };
  });
