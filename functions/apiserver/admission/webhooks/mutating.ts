import type { ManagedFields } from '../../../machinery/apply/managers.ts';
import { syntaxError } from '../../../machinery/body.ts';
import type { Json, JsonObject } from '../../../machinery/object.ts';
import { equalJson } from '../../../machinery/patch/equal.ts';
import { applyJsonPatch } from '../../../machinery/patch/json-patch.ts';
import { internalError, StatusError } from '../../../machinery/status.ts';
import type { AnyObject } from '../../context.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { createConfigurations, type Match } from './configurations.ts';
import { CallFault, callHook, isExempt, type Shown, settleFault, shownTo } from './invoke.ts';
import { asRequested, asSeenBy } from './shown.ts';

/** Which hooks are asked once more, after something else has changed the object (reinvocationPolicy: IfNeeded). */
interface Round {
  /** JSON of the object as the hooks left it. */
  last: string;
  invoked: Set<string>;
  again: Set<string>;
}

const asJson = (object: AnyObject | undefined): Json => (object ?? null) as unknown as Json;

/** What a hook made of an object is of the kind that it was; one that leaves it out means that one. */
const checkKind = (shown: Json, made: Json): void => {
  if (made === null || typeof made !== 'object' || Array.isArray(made))
    throw internalError('replace operation value must be object or array');
  const { apiVersion, kind } = shown as JsonObject;
  const now = { apiVersion: made.apiVersion || apiVersion, kind: made.kind || kind };
  if (now.apiVersion === apiVersion && now.kind === kind) return;
  const named = `no kind ${JSON.stringify(now.kind)} is registered for version ${JSON.stringify(now.apiVersion)}`;
  throw internalError(`${named} in scheme "pkg/runtime/scheme.go:111"`);
};

const askAgain = (round: Round): void => {
  for (const id of round.invoked) round.again.add(id);
  round.invoked.clear();
};

/** The object keeps its identity: whoever sent it through admission holds it. */
const become = (object: AnyObject, next: AnyObject): void => {
  for (const key of Object.keys(object)) if (!(key in next)) delete object[key];
  Object.assign(object, next);
};

const operationsOf = (patch: string): Json[] => {
  let operations: unknown;
  const text = Buffer.from(patch, 'base64').toString();
  try {
    operations = JSON.parse(text);
  } catch {
    throw new CallFault(`received undecodable patch in webhook response: ${syntaxError(text)}`);
  }
  if (Array.isArray(operations)) return operations as Json[];
  if (operations === null) return [];
  throw new CallFault(
    `received undecodable patch in webhook response: json: cannot unmarshal ${typeof operations} into Go value of type jsonpatch.Patch`,
  );
};

/** Applies a hook's patch. True where it changed something. Throws 500 Statuses for what does not apply or decode. */
const patched = async (request: AdmissionRequest, match: Match, operations: Json[]): Promise<boolean> => {
  const { object } = request;
  if (!object)
    throw internalError(
      `admission webhook "${match.hook.spec.name}" attempted to modify the object, which is not supported for this operation`,
    );
  const shown = asJson(await asSeenBy(request, match.resource, object));
  try {
    const result = applyJsonPatch(structuredClone(shown), operations);
    checkKind(shown, result);
    const next = await asRequested(request, match.resource, result);
    const { namespace } = request.call.info;
    if (request.subresource === '' && namespace && request.call.resource.namespaced)
      next.metadata.namespace ||= namespace;
    const managed = object.metadata.managedFields;
    // The same entries stay the same objects: their texts are known.
    if (managed && equalJson(managed as never, (next.metadata.managedFields ?? []) as never))
      next.metadata.managedFields = managed;
    const changed = !equalJson(asJson(object), asJson(next));
    become(object, next);
    return changed;
  } catch (error) {
    if (error instanceof StatusError && error.code !== 500)
      throw internalError(typeof error.cause === 'string' ? error.cause : error.message);
    throw error;
  }
};

/** What the audit event says of one hook: whether it changed the object, and by what. */
const annotate = ({ call, reinvoked }: AdmissionRequest, { hook }: Match, mutated: boolean, patch?: Json[]): void => {
  const place = `round_${reinvoked ? 1 : 0}_index_${hook.index}`;
  const { configuration, spec } = hook;
  const who = { configuration, webhook: spec.name };
  const key = `webhook.admission.k8s.io/${place}`;
  call.trail?.annotate(`mutation.${key}`, JSON.stringify({ ...who, mutated }));
  if (patch) call.trail?.annotate(`patch.${key}`, JSON.stringify({ ...who, patch, patchType: 'JSONPatch' }), true);
};

const asked = async (request: AdmissionRequest, match: Match, shown: Shown): Promise<boolean> => {
  try {
    const { patch, patchType } = await callHook(request, match, shown, true);
    const operations = patch ? operationsOf(patch) : [];
    if (operations.length > 0 && patchType !== 'JSONPatch')
      throw new CallFault(`unsupported patch type "${patchType}"`);
    const changed = operations.length > 0 && (await patched(request, match, operations));
    annotate(request, match, changed, operations.length > 0 ? operations : undefined);
    return changed;
  } catch (error) {
    annotate(request, match, false);
    settleFault(match, error);
    const key = `failed-open.mutation.webhook.admission.k8s.io/round_${request.reinvoked ? 1 : 0}_index_${match.hook.index}`;
    request.call.trail?.annotate(key, match.hook.spec.name);
    return false;
  }
};

const dispatch = async (request: AdmissionRequest, matches: readonly Match[], round: Round): Promise<void> => {
  for (const match of matches) {
    const shown = await shownTo(request, match);
    if (!shown) continue;
    const { id, spec } = match.hook;
    if (request.reinvoked && !round.again.has(id)) continue;
    if (await asked(request, match, shown)) {
      askAgain(round);
      request.reinvoke = true;
    }
    if (spec.reinvocationPolicy === 'IfNeeded') round.invoked.add(id);
  }
};

const managedFault = (entries: unknown): string | undefined => {
  for (const { operation, fieldsType, fieldsV1 } of entries as Partial<ManagedFields & { fieldsType: string }>[]) {
    if (operation !== 'Apply' && operation !== 'Update') return 'operation must be `Apply` or `Update`';
    if (fieldsType !== 'FieldsV1') return 'fieldsType must be `FieldsV1`';
    if (fieldsV1 !== undefined && (typeof fieldsV1 !== 'object' || fieldsV1 === null)) return 'fieldsV1 is no object';
  }
  return undefined;
};

/** Fields' owners that make no sense are put back as they were, with a warning. */
const checkManaged = ({ call, object }: AdmissionRequest, before: AnyObject['metadata']['managedFields']): void => {
  const now = object?.metadata?.managedFields;
  if (!object || !now || now === before) return;
  const fault = managedFault(now);
  if (fault === undefined) return;
  if (before) object.metadata.managedFields = before;
  else delete object.metadata.managedFields;
  call.warnings.push(
    `.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: ${fault}`,
  );
};

/**
 * MutatingAdmissionWebhook: hooks are asked one after another, each sees what those before it made of the object. Where a
 * later one changed it, those with reinvocationPolicy IfNeeded are asked once more. Source: admissionregistration.k8s.io/v1.
 */
export const createMutatingWebhooks = (): AdmissionPlugin => {
  const configurations = createConfigurations('mutatingwebhookconfigurations');
  const rounds = new WeakMap<AdmissionRequest, Round>();
  const go = async (request: AdmissionRequest, matches: readonly Match[]): Promise<void> => {
    const round = rounds.get(request) ?? { last: '', invoked: new Set(), again: new Set() };
    rounds.set(request, round);
    if (request.reinvoked && JSON.stringify(request.object) !== round.last) askAgain(round);
    const before = request.object?.metadata?.managedFields;
    try {
      await dispatch(request, matches, round);
    } finally {
      round.last = JSON.stringify(request.object) ?? '';
    }
    checkManaged(request, before);
  };
  return {
    name: 'MutatingAdmissionWebhook',
    admit: (request) => {
      if (isExempt(request)) return undefined;
      return configurations.withMatches(request, (matches) => go(request, matches));
    },
  };
};
