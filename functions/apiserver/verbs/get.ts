import { keyOf } from '../../machinery/object.ts';
import { badRequest, notFound } from '../../machinery/status.ts';
import type { Stored } from '../../store/store.ts';
import { type Call, domainOf } from '../context.ts';
import { storedResponse } from '../respond.ts';
import { readied } from '../stored-object.ts';

/** The key of the object that a request names. */
export const keyOfCall = (call: Call, name = call.info.name): string =>
  keyOf(call.resource.namespaced ? call.info.namespace : '', name);

export const missing = (call: Call, name = call.info.name) =>
  notFound({ group: call.resource.group, kind: call.resource.resource, name });

/** The stored object that a request names. Throws a 404 Status. */
export const load = async (call: Call, name = call.info.name): Promise<Stored> => {
  const stored = await call.server.store.get(domainOf(call.info.cluster, call.resource), keyOfCall(call, name));
  if (!stored) throw missing(call, name);
  const converted = readied(call.resource, [stored]);
  if (converted) await converted;
  return stored;
};

export const get = async (call: Call): Promise<Response> => {
  const version = call.info.query.get('resourceVersion');
  if (version && !/^\d+$/.test(version))
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`,
    );
  return storedResponse(call, 200, await load(call));
};
