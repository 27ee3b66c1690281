import { timestamp } from '../../clock/clock.ts';
import { type FieldSet, fieldsOf } from '../../machinery/apply/fields.ts';
import { trackUpdate } from '../../machinery/apply/update.ts';
import { decode } from '../../machinery/decode.ts';
import { nullEmpties } from '../../machinery/empties.ts';
import { validateObjectMeta } from '../../machinery/metadata.ts';
import { groupVersion, type JsonObject, keyOf } from '../../machinery/object.ts';
import { alreadyExists, badRequest, type Cause, genericFailure, invalid, StatusError } from '../../machinery/status.ts';
import { type AdmissionRequest, admit, settle, validate } from '../admission/admission.ts';
import { refused } from '../authz/authorizer.ts';
import { type AnyObject, type Call, domainOf, strategyContext } from '../context.ts';
import type { ResourceInfo } from '../registry.ts';
import { decodeAs, parseRequest } from '../request-body.ts';
import { objectResponse, storedResponse } from '../respond.ts';
import { asJson, newState, readiedToStore } from '../stored-object.ts';
import { checksStandardFinalizers } from './metadata-told.ts';
import { committed, tracksGeneration } from './rules.ts';
import { allocateNumbers } from './service-numbers.ts';

const letters = 'bcdfghjklmnpqrstvwxz2456789';
const suffix = (call: Call): string =>
  Array.from({ length: 5 }, () => letters[Math.floor(call.server.clock.random() * letters.length)]).join('');

const statusFields = fieldsOf([['status']]);
const requestFields = fieldsOf([['spec'], ['status']]);
/** Fields that a write of the main resource resets, so that nobody owns them through it. */
export const resetFieldsOf = (resource: ResourceInfo): FieldSet => {
  if (!resource.custom && resource.kind === 'CertificateSigningRequest') return requestFields;
  return resource.subresources.has('status') ? statusFields : undefined;
};

const prepareMetadata = (call: Call, object: AnyObject): void => {
  const { info, resource } = call;
  const meta = object.metadata;
  if (resource.namespaced) {
    if (meta.namespace && meta.namespace !== info.namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
    meta.namespace = info.namespace;
  } else delete meta.namespace;
  delete meta.uid;
  delete meta.creationTimestamp;
  if (!meta.generation) delete meta.generation;
};

/** What the server gives a new object, once admission has changed it: of that a webhook sees nothing, nor can it say it. */
const stampMetadata = (call: Call, { metadata }: AnyObject): void => {
  const { info, resource, server } = call;
  if (resource.namespaced && metadata.namespace !== info.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  metadata.uid = server.clock.uuid();
  metadata.creationTimestamp = timestamp(server.clock.now());
  if (tracksGeneration(resource)) metadata.generation = 1;
};

/** What a client cannot set is taken away before it is worked out who owns what. */
const wipeMetadata = ({ metadata }: AnyObject): void => {
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
};

/** JSON of the status that Go encodes for an unset one, by kind: '' for absent, else the type's zero value. */
const unsetStatuses = new WeakMap<ResourceInfo, string>();

const resetStatus = (resource: ResourceInfo, object: AnyObject): void => {
  let unset = unsetStatuses.get(resource);
  if (unset === undefined) {
    const empty = decode<AnyObject>(resource.schema, { metadata: {} }, { defaults: true }).value;
    unset = JSON.stringify(empty.status) ?? '';
    unsetStatuses.set(resource, unset);
  }
  if (unset === '') delete object.status;
  else object.status = JSON.parse(unset) as JsonObject;
};

/** An update or apply that makes its object needs the right to create as well. Throws 403. */
export const allowedToCreate = async ({ server, info, user }: Call): Promise<void> => {
  const attributes = { ...info, verb: 'create', user };
  const decision = await server.authorizer.authorize(attributes);
  if (!decision.allowed) throw refused(attributes, decision);
};

/** Stores a decoded object as new: admission, strategy, validation, commit. `apply` objects bring managedFields along. */
export const createObject = async (call: Call, object: AnyObject, tracked = false): Promise<Response> => {
  const { resource, server } = call;
  const generated = Boolean(object.metadata.generateName && !object.metadata.name);
  const ctx = strategyContext(call, '');
  const now = timestamp(server.clock.now());
  wipeMetadata(object);
  if (!tracked) {
    const given = trackUpdate({
      before: undefined,
      after: asJson(object),
      schema: resource.schema,
      manager: call.fieldManager,
      apiVersion: groupVersion(resource.group, resource.version),
      now,
      resetFields: resetFieldsOf(resource),
    });
    if (given) object.metadata.managedFields = given as unknown as NonNullable<AnyObject['metadata']['managedFields']>;
    else delete object.metadata.managedFields;
  }
  if (!resource.custom) nullEmpties(resource.schema, asJson(object));
  prepareMetadata(call, object);
  const request = { call, operation: 'CREATE' as const, subresource: '', object };
  await admit(request);
  stampMetadata(call, object);
  // Admission sees what was asked for: the name is made after it has changed the object, and checked with the rest.
  const { metadata } = object;
  if (metadata.generateName && !metadata.name) metadata.name = metadata.generateName.slice(0, 58) + suffix(call);
  if (resource.subresources.has('status') && !resource.custom) resetStatus(resource, object);
  resource.strategy.prepareForCreate?.(object, ctx);
  const numbers = await allocateNumbers(call, object);
  try {
    const response = await storeNew(call, object, generated);
    await numbers.done();
    return response;
  } catch (error) {
    // What is no refusal may have been stored all the same: its numbers stay taken.
    if (error instanceof StatusError) await numbers.undo();
    throw error;
  }
};

const storeNew = async (call: Call, object: AnyObject, generated: boolean): Promise<Response> => {
  const { resource } = call;
  const ctx = strategyContext(call, '');
  await resource.strategy.ready?.(object);
  const standard = checksStandardFinalizers(resource);
  const causes: Cause[] = [
    ...validateObjectMeta(object.metadata, {
      namespaced: resource.namespaced,
      ...(resource.strategy.validateName && {
        validateName: (name: string, prefix: boolean) =>
          resource.strategy.validateName?.(prefix ? name.replace(/-$/, 'a') : name) ?? [],
      }),
    }).filter((one) => standard || !one.field.startsWith('metadata.finalizers[')),
    ...((resource.strategy.validateCreate ?? resource.strategy.validate)?.(object, ctx) ?? []),
  ];
  if (causes.length)
    throw invalid({ group: resource.storage.group, kind: resource.kind, name: object.metadata.name ?? '' }, causes);
  for (const text of resource.strategy.warnings?.(object, undefined, ctx) ?? []) ctx.warn(text);
  const request: AdmissionRequest = { call, operation: 'CREATE', subresource: '', object };
  try {
    await validate(request);
    // Upstream defaults again what it reads back: a job takes over the labels that its template was given.
    resource.strategy.defaults?.(object);
    const response = await commitNew(call, object, generated);
    await settle(request, true);
    return response;
  } catch (error) {
    await settle(request, false);
    throw error;
  }
};

const commitNew = async (call: Call, object: AnyObject, generated: boolean): Promise<Response> => {
  const { resource, info, server } = call;
  const domain = domainOf(info.cluster, resource);
  for (let attempt = 0; ; attempt++) {
    const name = object.metadata.name ?? '';
    const key = keyOf(resource.namespaced ? info.namespace : '', name);
    const taken = () => alreadyExists({ group: resource.group, kind: resource.resource, name });
    if (call.dryRun) {
      if (await server.store.get(domain, key)) throw taken();
      const { convert } = resource;
      return objectResponse(
        call,
        201,
        convert && !convert.prepare ? convert.fromStorage(convert.toStorage(object)) : object,
      );
    }
    // Told where upstream tells it, by what stores: after every refusal of admission and validation.
    const revision = object.metadata.resourceVersion;
    if (revision !== undefined) {
      if (Number(revision) > 0)
        throw genericFailure(500, '', 'resourceVersion should not be set on objects to be created');
      delete object.metadata.resourceVersion;
    }
    const converted = readiedToStore(resource, object);
    if (converted) await converted;
    const [outcome] = await server.store.commit(domain, [{ op: 'create', key, ...newState(resource, object) }]);
    if (outcome?.ok) return storedResponse(call, 201, outcome.stored);
    if (outcome?.reason !== 'exists') return committed(call, outcome);
    if (!generated || attempt >= 7) throw taken();
    object.metadata.name = (object.metadata.generateName ?? '').slice(0, 58) + suffix(call);
  }
};

export const create = async (call: Call): Promise<Response> => {
  const { resource } = call;
  const body = await parseRequest(call.request, resource.kind);
  const object = decodeAs(call, body, resource, resource.schema);
  resource.strategy.defaults?.(object);
  call.trail?.requestObject(object);
  return createObject(call, object);
};
