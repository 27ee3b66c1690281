import { StatusError } from '../../machinery/status.ts';
import { admit, validate } from '../admission/admission.ts';
import { type Call, domainOf } from '../context.ts';
import { listResponse } from '../respond.ts';
import { parseStored, readied } from '../stored-object.ts';
import { deleteObject, warnOfOrphans } from './delete.ts';
import { deleteOptions } from './delete-options.ts';
import { listOptions } from './list-options.ts';
import { matcherOf } from './select.ts';

/** Deletes what the selectors select; answers with the list as it was. An object that went meanwhile is passed over. */
export const deletecollection = async (call: Call): Promise<Response> => {
  listOptions(call.info.query, false);
  const matches = matcherOf(call);
  const options = await deleteOptions(call);
  warnOfOrphans(call, options);
  const replica = await call.server.replicas.of(domainOf(call.info.cluster, call.resource));
  const revision = await replica.fresh();
  const { namespace } = call.info;
  const items = replica.list({ ...(namespace && { namespace }), ...(matches && { matches }) });
  for (const item of items) {
    try {
      await readied(call.resource, [item]);
      const old = parseStored(call.resource, item.bytes);
      const one: Call = { ...call, info: { ...call.info, name: old.metadata.name ?? '' } };
      const request = { call: one, operation: 'DELETE' as const, subresource: '', old, options };
      await admit(request);
      await validate(request);
      await deleteObject(one, item.key, item, options);
    } catch (error) {
      if (!(error instanceof StatusError && error.code === 404)) throw error;
    }
  }
  return listResponse(call, items, { resourceVersion: String(revision) });
};
