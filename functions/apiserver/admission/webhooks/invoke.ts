import { badRequest, forbidden, internalError, notFound } from '../../../machinery/status.ts';
import type { AnyObject } from '../../context.ts';
import { callWebhook } from '../../outgoing/client.ts';
import type { AdmissionRequest } from '../admission.ts';
import { askConditions } from './conditions.ts';
import type { Hook, Match } from './configurations.ts';
import { denial } from './denial.ts';
import { type Answer, answerOf, nameOf, namespaceOf, reviewOf, reviewVersionOf } from './review.ts';
import { asSeenBy } from './shown.ts';

/** The objects of a request in the version that a hook knows. */
export interface Shown {
  object: AnyObject | undefined;
  old: AnyObject | undefined;
}

const secondsDefault = 10;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what may not stand in a header
const control = /[\u0000-\u001f\u007f]/;

/** The configurations themselves are sent to no webhook, so that one that refuses everything can be taken away. */
const EXEMPT = new Set([
  'ValidatingWebhookConfiguration',
  'MutatingWebhookConfiguration',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionPolicyBinding',
]);
export const isExempt = ({ call: { resource } }: AdmissionRequest): boolean =>
  resource.group === 'admissionregistration.k8s.io' && EXEMPT.has(resource.kind);

const isNamespace = ({ call: { resource } }: AdmissionRequest): boolean =>
  resource.group === '' && resource.resource === 'namespaces';

const namespaceLabels = async (request: AdmissionRequest): Promise<Record<string, string>> => {
  const { call, operation, subresource, object } = request;
  const written = subresource === '' && (operation === 'CREATE' || operation === 'UPDATE');
  if (isNamespace(request) && written) return object?.metadata.labels ?? {};
  const name = namespaceOf(request);
  const domain = { cluster: call.info.cluster, group: '', resource: 'namespaces' };
  const stored = await call.server.store.get(domain, name);
  if (!stored) throw notFound({ group: '', kind: 'namespaces', name });
  return stored.index.labels as Record<string, string>;
};

const selectsNamespace = async (request: AdmissionRequest, { namespaces }: Hook): Promise<boolean> => {
  if (namespaces.empty) return true;
  if (!request.call.info.namespace && !isNamespace(request)) return true;
  return namespaces.matches(await namespaceLabels(request));
};

const selectsObject = ({ object, old }: AdmissionRequest, { objects }: Hook): boolean => {
  if (objects.empty) return true;
  if (object && objects.matches(object.metadata?.labels ?? {})) return true;
  return old !== undefined && objects.matches(old.metadata?.labels ?? {});
};

/**
 * What a hook is to be shown of a request that its rules match; undefined where selectors or conditions say that it is not
 * asked. Throws 403 where a condition fails, and 404 where the namespace is gone.
 */
export const shownTo = async (request: AdmissionRequest, match: Match): Promise<Shown | undefined> => {
  const { hook, resource } = match;
  if (!selectsObject(request, hook) || !(await selectsNamespace(request, hook))) return undefined;
  const shown = {
    object: await asSeenBy(request, resource, request.object),
    old: await asSeenBy(request, resource, request.old),
  };
  const verdict = await askConditions(request, match, shown);
  if (verdict === 'call') return shown;
  if (verdict === 'skip') return undefined;
  const { group, resource: kind } = request.call.resource;
  throw forbidden({ group, kind, name: nameOf(request) }, verdict.fault);
};

const failed = ({ spec }: Hook, why: string) => `failed calling webhook "${spec.name}": ${why}`;

/** A webhook that could not be asked, or did not answer as it must. */
export class CallFault extends Error {}

/**
 * Sends the review and takes the answer's warnings over. Throws the Status of a refusal, or a CallFault. `CallFault`s are
 * settled by `settleFault`.
 */
export const callHook = async (
  request: AdmissionRequest,
  match: Match,
  shown: Shown,
  mutating: boolean,
): Promise<Answer> => {
  const { call } = request;
  const { spec } = match.hook;
  if (call.dryRun && spec.sideEffects !== 'None' && spec.sideEffects !== 'NoneOnDryRun')
    throw badRequest(`admission webhook "${spec.name}" does not support dry run`);
  const version = reviewVersionOf(match);
  if (!version)
    throw new CallFault('could not create admission objects: webhook does not accept known AdmissionReview versions');
  const uid = call.server.clock.uuid();
  const review = reviewOf(request, match, version, uid, shown);
  const timeoutMs = (spec.timeoutSeconds ?? secondsDefault) * 1000;
  let answer: Answer;
  try {
    const sent = callWebhook(call.server, call.info.cluster, spec.clientConfig, review, timeoutMs);
    const given = await sent.catch((error: Error) => {
      throw new Error(`failed to call webhook: ${error.message}`);
    });
    answer = answerOf(given, uid, version, mutating);
  } catch (error) {
    throw new CallFault(error instanceof Error ? error.message : String(error));
  }
  for (const key in answer.auditAnnotations)
    call.trail?.annotate(`${spec.name}/${key}`, answer.auditAnnotations[key] ?? '');
  // A warning that no header can hold is dropped.
  for (const text of answer.warnings)
    if (!control.test(text) && !call.warnings.includes(text)) call.warnings.push(text);
  if (!answer.allowed) throw denial(spec.name, answer.status);
  return answer;
};

/** Lets a fault pass where the failure policy ignores it; else throws 500, or the refusal as it is. */
export const settleFault = ({ hook }: Match, error: unknown): void => {
  if (!(error instanceof CallFault)) throw error;
  if (hook.spec.failurePolicy !== 'Ignore') throw internalError(failed(hook, error.message));
};
