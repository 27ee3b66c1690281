import { timestamp } from '../../clock/clock.ts';
import { trackUpdate } from '../../machinery/apply/update.ts';
import { nullEmpties } from '../../machinery/empties.ts';
import { groupVersion } from '../../machinery/object.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import { cause, conflict, invalid } from '../../machinery/status.ts';
import type { Outcome, Stored } from '../../store/store.ts';
import { type AdmissionRequest, admit, settle, validate } from '../admission/admission.ts';
import { type AnyObject, type Call, domainOf, strategyContext } from '../context.ts';
import { objectResponse, storedResponse } from '../respond.ts';
import { asJson, newState, parseStored, readied, readiedToStore, serializer } from '../stored-object.ts';
import { keyOfCall, missing } from './get.ts';
import { metadataCauses } from './metadata-told.ts';
import { isPodEndpoint, podChangeCauses, podEndpointFields } from './pod-changes.ts';
import { bumpsGeneration, changedConflict, committed } from './rules.ts';
import { resetOf, separate } from './separate.ts';
import { allocateNumbers, type Numbers, noNumbers } from './service-numbers.ts';

/** How the next state comes from the current one; `tracked` when managedFields are already right (apply). */
/** `raw` keeps the server's own writes (binding, finalize) as they are: status and spec together, unvalidated. */
export type Transform = (old: AnyObject) => { next: AnyObject; tracked?: boolean; raw?: boolean };

export interface UpdateOptions {
  /** Retries lost races, where the client named no resourceVersion. */
  retries: number;
  /** false where another metadata.uid is an invalid change (patches) and not a lost race (PUT). Default true. */
  uidIsPrecondition?: boolean;
  /** Called where the object does not exist. */
  onMissing?: () => Promise<Response>;
  /** Refuses by uid and resourceVersion before anything else. */
  check?: (old: AnyObject) => void;
  /** Admission has seen what is asked for in another form (a Binding), and is not asked again. */
  admitted?: boolean;
  /** Where admission sees another object than the stored one (a Scale): how it is made, and taken back after changes. */
  view?: { of(object: AnyObject): AnyObject; into(object: AnyObject, seen: AnyObject): void };
}

const checkPreconditions = (call: Call, next: AnyObject, old: AnyObject, options: UpdateOptions): void => {
  const { metadata } = next;
  const { group, resource: kind } = call.resource;
  const name = call.info.name;
  if (options.uidIsPrecondition !== false && metadata.uid && metadata.uid !== old.metadata.uid)
    throw conflict(
      { group, kind, name },
      `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`,
    );
  if (
    metadata.resourceVersion &&
    metadata.resourceVersion !== '0' &&
    metadata.resourceVersion !== old.metadata.resourceVersion
  )
    throw changedConflict(call, name);
  if (!metadata.resourceVersion && call.resource.strategy.unconditionalUpdate === false)
    throw invalid({ group, kind, name }, [
      cause.invalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
};

const carryMetadata = (next: AnyObject, old: AnyObject): void => {
  const meta = next.metadata;
  meta.resourceVersion = old.metadata.resourceVersion ?? '';
  meta.uid ||= old.metadata.uid ?? '';
  if (old.metadata.creationTimestamp) meta.creationTimestamp = old.metadata.creationTimestamp;
  if (old.metadata.deletionTimestamp) {
    meta.deletionTimestamp ??= old.metadata.deletionTimestamp;
    if (old.metadata.deletionGracePeriodSeconds !== undefined)
      meta.deletionGracePeriodSeconds ??= old.metadata.deletionGracePeriodSeconds;
  }
  if (old.metadata.generation === undefined) delete meta.generation;
  else meta.generation = old.metadata.generation;
  delete meta.selfLink;
};

/** What counts for metadata.generation; a custom resource's status too, where no endpoint of its own writes it. */
const content = (object: AnyObject, withStatus: boolean): object => {
  const { metadata: _m, status, kind: _k, apiVersion: _a, ...rest } = object;
  return withStatus ? { ...rest, status } : rest;
};

const validated = (call: Call, next: AnyObject, old: AnyObject): void => {
  const { resource } = call;
  const { strategy } = resource;
  const ctx = strategyContext(call);
  const { subresource } = call.info;
  const causes = metadataCauses(resource, subresource, next, old);
  if (subresource === 'status' || subresource === 'approval')
    causes.push(...(strategy.validateStatusUpdate?.(next, old, ctx) ?? []));
  else if (isPodEndpoint(subresource)) {
    const valid = [...causes.splice(0), ...(strategy.validate?.(next, ctx) ?? [])];
    causes.push(...podChangeCauses(subresource, next, old, valid));
  } else causes.push(...(strategy.validate?.(next, ctx) ?? []), ...(strategy.validateUpdate?.(next, old, ctx) ?? []));
  if (causes.length)
    throw invalid({ group: resource.storage.group, kind: resource.kind, name: next.metadata.name ?? '' }, causes);
  for (const text of strategy.warnings?.(next, old, ctx) ?? []) ctx.warn(text);
};

const prepared = async (
  call: Call,
  old: AnyObject,
  transform: Transform,
  options: UpdateOptions,
): Promise<{ next: AnyObject; request: AdmissionRequest; numbers: Numbers }> => {
  const { resource, server } = call;
  const { next: given, tracked, raw } = transform(old);
  checkPreconditions(call, given, old, options);
  carryMetadata(given, old);
  if (!tracked) {
    const fields = trackUpdate({
      before: asJson(old),
      after: asJson(given),
      schema: resource.schema,
      manager: call.fieldManager,
      apiVersion: groupVersion(resource.group, resource.version),
      now: timestamp(server.clock.now()),
      subresource: call.info.subresource,
      resetFields: resetOf(call),
    });
    if (fields) given.metadata.managedFields = fields as unknown as NonNullable<AnyObject['metadata']['managedFields']>;
    else delete given.metadata.managedFields;
  }
  if (!resource.custom) nullEmpties(resource.schema, asJson(given));
  const { managedFields } = given.metadata;
  if (managedFields && isPodEndpoint(call.info.subresource))
    given.metadata.managedFields = podEndpointFields(call.info.subresource, managedFields);
  const { view } = options;
  const object = view ? view.of(given) : given;
  const { subresource } = call.info;
  const request: AdmissionRequest = { call, operation: 'UPDATE', subresource, object, old: view ? view.of(old) : old };
  if (!options.admitted) await admit(request);
  view?.into(given, object);
  if (raw) {
    if (!options.admitted) await validate(request);
    return { next: given, request, numbers: noNumbers };
  }
  const next = separate(call, given, old);
  resource.strategy.prepareForUpdate?.(next, old, strategyContext(call));
  const withStatus = resource.custom && !resource.subresources.has('status');
  if (
    bumpsGeneration(resource) &&
    next.metadata.generation === old.metadata.generation &&
    !equalJson(content(next, withStatus) as never, content(old, withStatus) as never)
  )
    next.metadata.generation = (old.metadata.generation ?? 0) + 1;
  const numbers = await allocateNumbers(call, next, old);
  try {
    await resource.strategy.ready?.(next);
    validated(call, next, old);
    request.object = view ? view.of(next) : next;
    await validate(request);
  } catch (error) {
    await numbers.undo();
    await settle(request, false);
    throw error;
  }
  return { next, request, numbers };
};

const finished = (next: AnyObject): boolean =>
  Boolean(next.metadata.deletionTimestamp) &&
  !next.metadata.finalizers?.length &&
  !next.metadata.deletionGracePeriodSeconds &&
  !(next.kind === 'Namespace' && Array.isArray(next.spec?.finalizers) && next.spec.finalizers.length > 0);

/** One attempt to write: the answer, or what the store said instead. */
const attempted = async (
  call: Call,
  current: Stored,
  old: AnyObject,
  next: AnyObject,
  numbers: Numbers,
): Promise<{ answer: Response } | { refused: Outcome | undefined }> => {
  const { resource, info, server } = call;
  const { key, revision: expected } = current;
  if (equalJson(asJson(next), asJson(old))) return { answer: await storedResponse(call, 200, current) };
  if (call.dryRun) return { answer: await objectResponse(call, 200, next) };
  const gone = finished(next);
  const converted = readiedToStore(resource, gone ? old : next);
  if (converted) await converted;
  const write = gone
    ? ({ op: 'delete', key, expected, bytes: serializer(resource, old) } as const)
    : ({ op: 'update', key, expected, ...newState(resource, next) } as const);
  const [outcome] = await server.store.commit(domainOf(info.cluster, resource), [write]);
  await (outcome?.ok ? numbers.done() : numbers.undo());
  if (!outcome?.ok) return { refused: outcome };
  return { answer: await (gone ? objectResponse(call, 200, next) : storedResponse(call, 200, outcome.stored)) };
};

/**
 * Reads, transforms, checks and commits until the commit holds. A state equal to the stored one is not written. One whose
 * last finalizer went while it was being deleted is removed.
 */
export const updateObject = async (call: Call, transform: Transform, options: UpdateOptions): Promise<Response> => {
  const { resource, info, server } = call;
  const domain = domainOf(info.cluster, resource);
  const key = keyOfCall(call);
  let current: Stored | undefined = await server.store.get(domain, key);
  for (let attempt = 0; ; attempt++) {
    if (!current) {
      if (options.onMissing) return options.onMissing();
      throw missing(call);
    }
    const converted = readied(resource, [current]);
    if (converted) await converted;
    const old = parseStored(resource, current.bytes);
    options.check?.(old);
    const { next, request, numbers } = await prepared(call, old, transform, options);
    let result: Awaited<ReturnType<typeof attempted>>;
    try {
      result = await attempted(call, current, old, next, numbers);
    } catch (error) {
      await settle(request, false);
      throw error;
    }
    await settle(request, 'answer' in result);
    if ('answer' in result) return result.answer;
    const { refused } = result;
    if (refused && !refused.ok && refused.reason === 'missing') current = undefined;
    else if (refused && !refused.ok && refused.reason === 'changed') {
      if (attempt >= options.retries) throw changedConflict(call, info.name);
      current = refused.current ?? (await server.store.get(domain, key));
    } else return committed(call, refused);
  }
};
