import { badRequest } from '../../machinery/status.ts';
import type { Call } from '../context.ts';
import { decodeAs, parseRequest } from '../request-body.ts';
import { allowedToCreate, createObject } from './create.ts';
import { missing } from './get.ts';
import { updateObject } from './update-object.ts';

export const update = async (call: Call): Promise<Response> => {
  const { resource, info } = call;
  const body = await parseRequest(call.request, call.resource.kind);
  const object = decodeAs(call, body, resource, resource.schema);
  resource.strategy.defaults?.(object);
  call.trail?.requestObject(object);
  const meta = object.metadata;
  if (resource.namespaced) {
    if (meta.namespace && meta.namespace !== info.namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    meta.namespace = info.namespace;
  }
  if (!meta.name) throw badRequest(`name must be provided`);
  if (meta.name !== info.name)
    throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${info.name})`);
  const onMissing =
    resource.strategy.createOnUpdate && !info.subresource
      ? async () => {
          await allowedToCreate(call);
          delete meta.resourceVersion;
          return createObject(call, object);
        }
      : async () => {
          throw missing(call);
        };
  return updateObject(call, () => ({ next: structuredClone(object) }), {
    retries: meta.resourceVersion ? 0 : 5,
    onMissing,
  });
};
