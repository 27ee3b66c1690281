import type { Json, JsonObject } from '../../../machinery/object.ts';
import type { AnyObject } from '../../context.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { Match } from './configurations.ts';
import { kindAt } from './shown.ts';

/** What a webhook answered, checked. Source: admission.k8s.io/v1 AdmissionResponse. */
export interface Answer {
  allowed: boolean;
  status?: JsonObject;
  /** Base64. */
  patch?: string;
  patchType?: string;
  warnings: readonly string[];
  auditAnnotations?: Readonly<Record<string, string>>;
}

const GROUP = 'admission.k8s.io';
const VERSIONS = ['v1', 'v1beta1'];

/** The review version to speak with a webhook: the first of its list that is known. */
export const reviewVersionOf = ({ hook }: Match): string | undefined =>
  hook.spec.admissionReviewVersions?.find((version) => VERSIONS.includes(version));

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const userInfo = ({ username, uid, groups, extra }: AdmissionRequest['call']['user']): object => ({
  ...(username && { username }),
  ...(uid && { uid }),
  ...(groups.length > 0 && { groups }),
  ...(Object.keys(extra).length > 0 && { extra }),
});

const KINDS: Readonly<Record<string, string>> = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions' };

/** The options of a write as an object, from its query or, of a delete, from its body. */
const optionsOf = ({ call, operation, options }: AdmissionRequest): object | null => {
  if (operation === 'CONNECT') return null;
  const apiVersion = 'meta.k8s.io/v1';
  const dryRun = call.dryRun && { dryRun: ['All'] };
  if (operation === 'DELETE') return { ...options, kind: 'DeleteOptions', apiVersion, ...dryRun };
  const { query } = call.info;
  const fieldManager = query.get('fieldManager');
  const fieldValidation = query.get('fieldValidation');
  return {
    kind: KINDS[operation],
    apiVersion,
    ...dryRun,
    ...(fieldManager && { fieldManager }),
    ...(fieldValidation && { fieldValidation }),
  };
};

/** The name of what is asked for: the path's, else the object's; none where a collection is deleted. */
export const nameOf = ({ call, object }: AdmissionRequest): string => {
  if (call.info.verb === 'deletecollection') return '';
  return call.info.name || (object?.metadata.name ?? '');
};

/** The namespace of a request; a namespace is in itself. */
export const namespaceOf = (request: AdmissionRequest): string => {
  const { info, resource } = request.call;
  return resource.group === '' && resource.resource === 'namespaces' ? nameOf(request) : info.namespace;
};

/** Everything of an AdmissionRequest besides its uid and objects: also what match conditions know as `request`. */
export const requestFields = (request: AdmissionRequest, match: Match): JsonObject => {
  const { call, operation, subresource } = request;
  const { group, version, resource } = call.resource;
  const seen = match.resource;
  const sub = subresource && { subResource: subresource };
  const name = nameOf(request);
  const namespace = namespaceOf(request);
  return {
    kind: kindAt(seen, subresource),
    resource: { group: seen.group, version: seen.version, resource: seen.resource },
    ...sub,
    requestKind: kindAt(call.resource, subresource),
    requestResource: { group, version, resource },
    ...(subresource && { requestSubResource: subresource }),
    ...(name && { name }),
    ...(namespace && { namespace }),
    operation,
    userInfo: userInfo(call.user),
    dryRun: call.dryRun,
    options: optionsOf(request),
  } as unknown as JsonObject;
};

/** The AdmissionReview to send. */
export const reviewOf = (
  request: AdmissionRequest,
  match: Match,
  version: string,
  uid: string,
  objects: { object?: AnyObject | undefined; old?: AnyObject | undefined },
): object => ({
  kind: 'AdmissionReview',
  apiVersion: `${GROUP}/${version}`,
  request: {
    uid,
    ...requestFields(request, match),
    object: objects.object ?? null,
    oldObject: objects.old ?? null,
  },
});

const wrongType = (value: unknown, field: string, type: string): Error => {
  const given = Array.isArray(value) ? 'array' : typeof value;
  const named = given === 'boolean' ? 'bool' : given;
  return new Error(
    `failed to call webhook: json: cannot unmarshal ${named} into Go struct field AdmissionResponse.response.${field} of type ${type}`,
  );
};

const typed = <T>(response: JsonObject, field: string, type: string, is: (value: Json) => boolean): T | undefined => {
  const value = response[field] ?? undefined;
  if (value === undefined) return undefined;
  if (!is(value)) throw wrongType(value, field, type);
  return value as T;
};

const isText = (value: Json): boolean => typeof value === 'string';
const isTexts = (value: Json): boolean => Array.isArray(value) && value.every(isText);
const isMap = (value: Json): boolean => isObject(value) && Object.values(value).every((one) => isText(one as Json));

/** The response with each field of its type. */
const responseOf = (answer: Json, version: string): JsonObject => {
  if (answer !== null && !isObject(answer))
    throw new Error(
      `failed to call webhook: couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(answer) ? 'array' : typeof answer} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  const { apiVersion = '', kind = '' } = answer ?? {};
  const known = VERSIONS.some((one) => apiVersion === `${GROUP}/${one}`) && kind === 'AdmissionReview';
  if (!known && (apiVersion !== '' || kind !== ''))
    throw new Error(
      `failed to call webhook: no kind "${kind}" is registered for version "${apiVersion}" in scheme "pkg/runtime/scheme.go:111"`,
    );
  if (known && apiVersion !== `${GROUP}/${version}`)
    throw new Error(
      `failed to call webhook: converting (${String(apiVersion).slice(GROUP.length + 1)}.AdmissionReview) to (${version}.AdmissionReview): unknown conversion`,
    );
  const response = answer?.response;
  if (!isObject(response)) throw new Error('received invalid webhook response: webhook response was absent');
  return response;
};

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const checkPatch = (version: string, mutating: boolean, patch: string, patchType: string | undefined): void => {
  const refuse = (why: string): void => {
    throw new Error(`received invalid webhook response: ${why}`);
  };
  if (version !== 'v1') return;
  if (!mutating && patch) refuse('validating webhook may not return response.patch');
  if (!mutating && patchType !== undefined) refuse('validating webhook may not return response.patchType');
  if (patch && patchType === undefined) refuse('webhook returned response.patch but not response.patchType');
  if (!patch && patchType !== undefined) refuse('webhook returned response.patchType but not response.patch');
  if (patchType === '') refuse('webhook returned invalid response.patchType of ""');
};

/**
 * A webhook's answer, checked as upstream does: the uid and kind of v1 must be right, a patch comes with its type, and of
 * mutating webhooks only. Throws a plain Error that says what is wrong.
 */
export const answerOf = (answer: Json, uid: string, version: string, mutating: boolean): Answer => {
  const response = responseOf(answer, version);
  const allowed = typed<boolean>(response, 'allowed', 'bool', (value) => typeof value === 'boolean');
  const given = typed<string>(response, 'uid', 'types.UID', isText) ?? '';
  const patch = typed<string>(response, 'patch', '[]uint8', isText) ?? '';
  const patchType = typed<string>(response, 'patchType', 'v1.PatchType', isText);
  const warnings = typed<string[]>(response, 'warnings', '[]string', isTexts) ?? [];
  const status = typed<JsonObject>(response, 'status', 'v1.Status', isObject);
  const auditAnnotations = typed<Record<string, string>>(response, 'auditAnnotations', 'map[string]string', isMap);
  if (!base64.test(patch)) {
    const at = /[^A-Za-z0-9+/=]/.exec(patch)?.index ?? patch.length;
    throw new Error(`failed to call webhook: illegal base64 data at input byte ${at}`);
  }
  if (version === 'v1' && given !== uid)
    throw new Error(`received invalid webhook response: expected response.uid="${uid}", got "${given}"`);
  if (version === 'v1' && !isObject(answer) === false && (answer as JsonObject).kind === undefined)
    throw new Error(
      `received invalid webhook response: expected webhook response of ${GROUP}/v1, Kind=AdmissionReview, got /, Kind=`,
    );
  checkPatch(version, mutating, patch, patchType);
  return {
    allowed: allowed ?? false,
    warnings,
    ...(status && { status }),
    ...(auditAnnotations && { auditAnnotations }),
    ...(patch && mutating && { patch, patchType: version === 'v1' ? (patchType ?? '') : 'JSONPatch' }),
  };
};
