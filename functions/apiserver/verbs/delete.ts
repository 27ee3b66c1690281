import { timestamp } from '../../clock/clock.ts';
import type { Stored } from '../../store/store.ts';
import { admit, validate as admitValidate } from '../admission/admission.ts';
import { type AnyObject, type Call, domainOf } from '../context.ts';
import { objectResponse, outcomeResponse } from '../respond.ts';
import { indexOf, parseStored, readied, readiedToStore, serializer } from '../stored-object.ts';
import { checkPreconditions, type DeleteOptions, deleteOptions } from './delete-options.ts';
import { keyOfCall, missing } from './get.ts';
import { changedConflict, committed, returnsDeleted } from './rules.ts';
import { releaseNumbers } from './service-numbers.ts';

const ours = ['orphan', 'foregroundDeletion'];

const finalizersFor = (call: Call, object: AnyObject, options: DeleteOptions): string[] => {
  const present = object.metadata.finalizers ?? [];
  const policy =
    options.propagationPolicy ??
    (options.orphanDependents === true ? 'Orphan' : options.orphanDependents === false ? 'Background' : undefined);
  const kept = policy ? present.filter((f) => !ours.includes(f)) : [...present];
  const wanted = policy === 'Orphan' ? 'orphan' : policy === 'Foreground' ? 'foregroundDeletion' : undefined;
  const fallback =
    !policy && call.resource.strategy.defaultPropagation === 'Orphan' && !present.some((f) => ours.includes(f))
      ? 'orphan'
      : undefined;
  const add = wanted ?? fallback;
  if (add && !kept.includes(add)) kept.push(add);
  return kept;
};

const isNamespace = (call: Call): boolean => call.resource.group === '' && call.resource.resource === 'namespaces';
const isPod = (call: Call): boolean => call.resource.group === '' && call.resource.resource === 'pods';

/** Grace applies to pods that a node runs; everything else goes at once. */
const graceOf = (call: Call, object: AnyObject, options: DeleteOptions): number => {
  const { strategy } = call.resource;
  if (strategy.graceSeconds) return strategy.graceSeconds(object, options.gracePeriodSeconds) ?? 0;
  if (!isPod(call)) return 0;
  if (!object.spec?.nodeName || object.status?.phase === 'Succeeded' || object.status?.phase === 'Failed') return 0;
  return options.gracePeriodSeconds ?? Number(object.spec.terminationGracePeriodSeconds ?? 30);
};

const marked = (call: Call, object: AnyObject, grace: number, finalizers: string[]): boolean => {
  const meta = object.metadata;
  const before = JSON.stringify([meta.finalizers ?? [], meta.deletionTimestamp, meta.deletionGracePeriodSeconds]);
  const now = call.server.clock.now();
  if (finalizers.length) meta.finalizers = finalizers;
  else delete meta.finalizers;
  if (!meta.deletionTimestamp) {
    meta.deletionTimestamp = timestamp(now + grace * 1000);
    if (!isNamespace(call)) meta.deletionGracePeriodSeconds = grace;
    if (meta.generation !== undefined) meta.generation++;
  } else if (grace < (meta.deletionGracePeriodSeconds ?? 0)) {
    meta.deletionTimestamp = timestamp(now + grace * 1000);
    meta.deletionGracePeriodSeconds = grace;
  }
  return before !== JSON.stringify([meta.finalizers ?? [], meta.deletionTimestamp, meta.deletionGracePeriodSeconds]);
};

/** What became of a delete: removed, or still there with a deletionTimestamp. */
export type Deleted = { removed: boolean; object: AnyObject };

const step = (call: Call, object: AnyObject, options: DeleteOptions): 'remove' | 'mark' | 'leave' => {
  const { markDeleted } = call.resource.strategy;
  if (markDeleted && !object.metadata.deletionTimestamp) {
    markDeleted(object, call.server.clock.now());
    return 'mark';
  }
  const finalizers = finalizersFor(call, object, options);
  const grace = graceOf(call, object, options);
  const specFinalizers = object.spec?.finalizers;
  const held =
    finalizers.length > 0 || (isNamespace(call) && Array.isArray(specFinalizers) && specFinalizers.length > 0);
  if (!held && grace === 0) return 'remove';
  const changed = marked(call, object, grace, finalizers);
  if (isNamespace(call)) object.status = { ...object.status, phase: 'Terminating' };
  return changed ? 'mark' : 'leave';
};

/** A pod that went at once is answered as marked for no grace; watchers see its last state as it was. */
const answered = (call: Call, what: 'remove' | 'mark' | 'leave', object: AnyObject): AnyObject => {
  if (what === 'remove' && isPod(call)) marked(call, object, 0, object.metadata.finalizers ?? []);
  return object;
};

/** Deletes one object, retrying lost races unless a precondition names the resourceVersion. Throws StatusError. */
export const deleteObject = async (
  call: Call,
  key: string,
  first: Stored | undefined,
  options: DeleteOptions,
): Promise<Deleted> => {
  const { server, resource, info } = call;
  const domain = domainOf(info.cluster, resource);
  let current = first;
  for (let attempt = 0; ; attempt++) {
    const name = key.slice(key.indexOf('/') + 1);
    if (!current) throw missing(call, name);
    await readied(resource, [current]);
    const object = parseStored(resource, current.bytes);
    checkPreconditions(call, object, options);
    const what = step(call, object, options);
    if (what === 'leave' || call.dryRun) return { removed: what === 'remove', object: answered(call, what, object) };
    await readiedToStore(resource, object);
    const bytes = serializer(resource, object);
    const expected = current.revision;
    const [outcome] = await server.store.commit(domain, [
      what === 'remove'
        ? { op: 'delete', key, expected, bytes }
        : { op: 'update', key, expected, index: indexOf(resource, object), bytes },
    ]);
    if (outcome?.ok && what === 'remove') await releaseNumbers(call, object);
    if (outcome?.ok) await readied(resource, [outcome.stored]);
    if (outcome?.ok)
      return { removed: what === 'remove', object: answered(call, what, parseStored(resource, outcome.stored.bytes)) };
    if (outcome?.reason === 'missing') current = undefined;
    else if (outcome?.reason === 'changed') {
      if (attempt > 8) throw changedConflict(call, name);
      current = outcome.current ?? (await server.store.get(domain, key));
    } else return committed(call, outcome);
  }
};

/** Jobs alone say that their pods stay. */
export const warnOfOrphans = ({ resource, warnings }: Call, options: DeleteOptions): void => {
  if (resource.group !== 'batch' || resource.strategy.defaultPropagation !== 'Orphan') return;
  if (options.propagationPolicy !== undefined || options.orphanDependents !== undefined) return;
  warnings.push(
    'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
  );
};

export const del = async (call: Call): Promise<Response> => {
  const { resource, info, server } = call;
  const options = await deleteOptions(call);
  const key = keyOfCall(call);
  const current = await server.store.get(domainOf(info.cluster, resource), key);
  if (!current) throw missing(call);
  await readied(resource, [current]);
  const old = parseStored(resource, current.bytes);
  const request = { call, operation: 'DELETE' as const, subresource: '', old, options };
  await admit(request);
  await admitValidate(request);
  warnOfOrphans(call, options);
  const { removed, object } = await deleteObject(call, key, current, options);
  if (!removed || returnsDeleted(resource)) return objectResponse(call, 200, object);
  const { name = '', uid = '' } = object.metadata;
  const details = { name, ...(resource.group && { group: resource.group }), kind: resource.resource, uid };
  return outcomeResponse(call, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }, 200);
};
