import { StatusError } from '../../machinery/status.ts';
import { type Call, domainOf } from '../context.ts';
import { listResponse } from '../respond.ts';
import { deleteObject } from './delete.ts';
import { deleteOptions } from './delete-options.ts';
import { listOptions } from './list-options.ts';
import { matcherOf } from './select.ts';

/** Deletes what the selectors select; answers with the list as it was. An object that went meanwhile is passed over. */
export const deletecollection = async (call: Call): Promise<Response> => {
  listOptions(call.info.query, false);
  const matches = matcherOf(call);
  const options = await deleteOptions(call);
  const replica = await call.server.replicas.of(domainOf(call.info.cluster, call.resource));
  const revision = await replica.fresh();
  const { namespace } = call.info;
  const items = replica.list({ ...(namespace && { namespace }), ...(matches && { matches }) });
  for (const item of items) {
    try {
      await deleteObject(call, item.key, item, options);
    } catch (error) {
      if (!(error instanceof StatusError && error.code === 404)) throw error;
    }
  }
  return listResponse(call, items, { resourceVersion: String(revision) });
};
