import { conflict } from '../../machinery/status.ts';
import type { AnyObject } from '../context.ts';
import { type Call, domainOf } from '../context.ts';
import { newState, parseStored } from '../stored-object.ts';
import { keyOfCall, missing } from '../verbs/get.ts';
import { changedConflict, committed, modifiedText } from '../verbs/rules.ts';

const RETRIES = 8;

/**
 * Changes a stored object in the way of an action (bind, evict), which is no write of its fields by the user: nothing is
 * validated or tracked. `change` throws to refuse, and is called again after a lost race.
 */
export const changeObject = async (call: Call, change: (object: AnyObject) => void): Promise<AnyObject> => {
  const { resource, info, server } = call;
  const domain = domainOf(info.cluster, resource);
  const key = keyOfCall(call);
  let current = await server.store.get(domain, key);
  for (let attempt = 0; ; attempt++) {
    if (!current) throw missing(call);
    const object = parseStored(resource, current.bytes);
    change(object);
    if (call.dryRun) return object;
    const expected = current.revision;
    const [outcome] = await server.store.commit(domain, [
      { op: 'update', key, expected, ...newState(resource, object) },
    ]);
    if (outcome?.ok) return parseStored(resource, outcome.stored.bytes);
    if (outcome?.reason === 'changed' && attempt < RETRIES)
      current = outcome.current ?? (await server.store.get(domain, key));
    else if (outcome?.reason === 'changed') throw changedConflict(call, info.name);
    else if (outcome?.reason === 'missing') current = undefined;
    else return committed(call, outcome);
  }
};

/** Refuses where the request speaks of another object than the stored one. */
export const checkUid = (call: Call, uid: string | undefined, object: AnyObject): void => {
  if (!uid || uid === object.metadata.uid) return;
  const subject = { group: call.resource.group, kind: call.resource.resource, name: call.info.name };
  throw conflict(
    subject,
    `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${object.metadata.uid}; ${modifiedText}`,
  );
};
