import type { Service } from '../../machinery/kinds.d.ts';
import { invalid } from '../../machinery/status.ts';
import type { AnyObject, Call } from '../context.ts';

/** What to call when the write that an allocation was made for has held, or has not. */
export interface Numbers {
  done(): Promise<void>;
  undo(): Promise<void>;
}
export const noNumbers: Numbers = { done: async () => {}, undo: async () => {} };

const isService = (call: Call): boolean => call.resource.group === '' && call.resource.resource === 'services';
const asService = (object: AnyObject): Service => object as unknown as Service;

/** Fills in the cluster IPs and node ports of a service about to be stored. Throws a 422 Status when one is taken. */
export const allocateNumbers = async (call: Call, next: AnyObject, old?: AnyObject): Promise<Numbers> => {
  if (!isService(call) || call.info.subresource) return noNumbers;
  const { services } = call.server;
  const { cluster } = call.info;
  const given = old
    ? await services.reallocate(cluster, asService(next), asService(old), call.dryRun)
    : await services.allocate(cluster, asService(next), call.dryRun);
  if (!given.ok) throw invalid({ group: '', kind: 'Service', name: next.metadata.name ?? '' }, given.causes);
  return given;
};

/** Gives back what a removed service held. */
export const releaseNumbers = async (call: Call, object: AnyObject): Promise<void> => {
  if (isService(call)) await call.server.services.release(call.info.cluster, asService(object));
};
