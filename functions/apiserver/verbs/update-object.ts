import { timestamp } from '../../clock/clock.ts';
import { trackUpdate } from '../../machinery/apply/update.ts';
import { nullEmpties } from '../../machinery/empties.ts';
import { validateObjectMetaUpdate } from '../../machinery/metadata.ts';
import { groupVersion } from '../../machinery/object.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import { type Cause, cause, conflict, invalid } from '../../machinery/status.ts';
import type { Stored } from '../../store/store.ts';
import { admit, validate } from '../admission/admission.ts';
import { type AnyObject, type Call, domainOf, strategyContext } from '../context.ts';
import { objectResponse, storedResponse } from '../respond.ts';
import { asJson, indexOf, parseStored, serializer } from '../stored-object.ts';
import { keyOfCall, missing } from './get.ts';
import { podChangeCauses } from './pod-changes.ts';
import { changedConflict, committed, tracksFields, tracksGeneration } from './rules.ts';
import { resetOf, separate } from './separate.ts';
import { allocateNumbers } from './service-numbers.ts';

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
    throw invalid({ group, kind: call.resource.kind, name }, [
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

const content = (object: AnyObject): object => {
  const { metadata: _m, status: _s, kind: _k, apiVersion: _a, ...rest } = object;
  return rest;
};

const checkedTwice = /^metadata\.(labels|annotations|ownerReferences|finalizers|managedFields)/;

/**
 * Upstream checks metadata in the registry and once more in the kind's validation, and its contents twice in each, so
 * that clients are told every cause as often.
 */
const metadataCauses = (next: AnyObject, old: AnyObject): Cause[] =>
  validateObjectMetaUpdate(next.metadata, old.metadata).flatMap((one) =>
    checkedTwice.test(one.field) && one.reason !== 'FieldValueForbidden' ? [one, one, one, one] : [one, one],
  );

const validated = (call: Call, next: AnyObject, old: AnyObject): void => {
  const { resource } = call;
  const { strategy } = resource;
  const ctx = strategyContext(call);
  const causes = metadataCauses(next, old);
  const { subresource } = call.info;
  if (subresource === 'status' || subresource === 'approval')
    causes.push(...(strategy.validateStatusUpdate?.(next, old, ctx) ?? []));
  else if (subresource === 'resize' || subresource === 'ephemeralcontainers')
    causes.push(...(strategy.validate?.(next, ctx) ?? []), ...podChangeCauses(subresource, next, old));
  else causes.push(...(strategy.validate?.(next, ctx) ?? []), ...(strategy.validateUpdate?.(next, old, ctx) ?? []));
  if (causes.length)
    throw invalid({ group: resource.storage.group, kind: resource.kind, name: next.metadata.name ?? '' }, causes);
  for (const text of strategy.warnings?.(next, old, ctx) ?? []) ctx.warn(text);
};

const prepared = async (
  call: Call,
  old: AnyObject,
  transform: Transform,
  options: UpdateOptions,
): Promise<AnyObject> => {
  const { resource, server } = call;
  const { next: given, tracked, raw } = transform(old);
  checkPreconditions(call, given, old, options);
  carryMetadata(given, old);
  if (!tracksFields(resource)) delete given.metadata.managedFields;
  else if (!tracked) {
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
  await admit({ call, operation: 'UPDATE', subresource: call.info.subresource, object: given, old });
  if (raw) return given;
  const next = separate(call, given, old);
  resource.strategy.prepareForUpdate?.(next, old, strategyContext(call));
  if (
    tracksGeneration(resource) &&
    next.metadata.generation === old.metadata.generation &&
    !equalJson(content(next) as never, content(old) as never)
  )
    next.metadata.generation = (old.metadata.generation ?? 0) + 1;
  validated(call, next, old);
  await validate({ call, operation: 'UPDATE', subresource: call.info.subresource, object: next, old });
  return next;
};

const finished = (next: AnyObject): boolean =>
  Boolean(next.metadata.deletionTimestamp) &&
  !next.metadata.finalizers?.length &&
  !next.metadata.deletionGracePeriodSeconds &&
  !(next.kind === 'Namespace' && Array.isArray(next.spec?.finalizers) && next.spec.finalizers.length > 0);

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
    const old = parseStored(resource, current.bytes);
    options.check?.(old);
    const next = await prepared(call, old, transform, options);
    const numbers = await allocateNumbers(call, next, old);
    if (equalJson(asJson(next), asJson(old))) return storedResponse(call, 200, current);
    if (call.dryRun) return objectResponse(call, 200, next);
    const expected = current.revision;
    const gone = finished(next);
    const write = gone
      ? ({ op: 'delete', key, expected, bytes: serializer(resource, old) } as const)
      : ({ op: 'update', key, expected, index: indexOf(resource, next), bytes: serializer(resource, next) } as const);
    const [outcome] = await server.store.commit(domain, [write]);
    await (outcome?.ok ? numbers.done() : numbers.undo());
    if (outcome?.ok) return gone ? objectResponse(call, 200, next) : storedResponse(call, 200, outcome.stored);
    if (outcome?.reason === 'missing') current = undefined;
    else if (outcome?.reason === 'changed') {
      if (attempt >= options.retries) throw changedConflict(call, info.name);
      current = outcome.current ?? (await server.store.get(domain, key));
    } else return committed(call, outcome);
  }
};
