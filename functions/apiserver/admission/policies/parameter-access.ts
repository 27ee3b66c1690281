import { isDeepStrictEqual } from 'node:util';
import type { ParamKind, ParamRef } from '../../../machinery/kinds.d.ts';
import { type KubeObject, parseGroupVersion } from '../../../machinery/object.ts';
import { type Cause, cause, invalid } from '../../../machinery/status.ts';
import type { UserInfo } from '../../registry.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { storedObject } from '../stored.ts';

const GROUP = 'admissionregistration.k8s.io';
const MUTATING = 'mutatingadmissionpolic';

interface Spec {
  paramKind?: ParamKind;
  paramRef?: ParamRef;
  policyName?: string;
}
const specOf = (object: KubeObject | undefined): Spec => (object as { spec?: Spec } | undefined)?.spec ?? {};

const extraText = (extra: UserInfo['extra']): string =>
  Object.keys(extra)
    .sort()
    .map((key) => `${key}:[${(extra[key] ?? []).join(' ')}]`)
    .join(' ');
/** A user as upstream's messages show one. */
const userText = ({ username, uid, groups, extra }: UserInfo): string =>
  `&{${username} ${uid} [${groups.join(' ')}] map[${extraText(extra)}]}`;

/** What of the API a paramKind speaks of; everything where that is not known. */
interface About {
  group: string;
  version: string;
  resource: string;
}
const aboutKind = ({ call }: AdmissionRequest, paramKind: ParamKind | undefined): About => {
  if (!paramKind) return { group: '*', version: '*', resource: '*' };
  const { group, version } = parseGroupVersion(paramKind.apiVersion ?? '');
  const all = call.server.registry.all(call.info.cluster);
  const found = all.find((one) => one.group === group && one.version === version && one.kind === paramKind.kind);
  return { group, version, resource: found?.resource ?? '*' };
};

const mayRead = async (
  { call }: AdmissionRequest,
  verb: string,
  about: About,
  namespace: string,
  name: string,
): Promise<boolean> => {
  const { server, info, user } = call;
  const { cluster } = info;
  const where = { cluster, user, verb, namespace, name, subresource: '', path: '', isResource: true };
  return (await server.authorizer.authorize({ ...about, ...where })).allowed;
};

const checkPolicy = async (request: AdmissionRequest): Promise<Cause | undefined> => {
  const { paramKind } = specOf(request.object);
  if (!paramKind || isDeepStrictEqual(paramKind, specOf(request.old).paramKind)) return undefined;
  if (await mayRead(request, 'get', aboutKind(request, paramKind), '*', '*')) return undefined;
  const { kind, apiVersion } = paramKind;
  return cause.forbidden(
    'spec.paramKind',
    `user ${userText(request.call.user)} must have "get" permission on all objects of the referenced paramKind (kind=${kind}, apiVersion=${apiVersion})`,
  );
};

const checkBinding = async (request: AdmissionRequest): Promise<Cause | undefined> => {
  const { paramRef, policyName = '' } = specOf(request.object);
  const before = specOf(request.old);
  if (!paramRef) return undefined;
  if (isDeepStrictEqual(paramRef, before.paramRef) && before.policyName === policyName) return undefined;
  const { call } = request;
  const isMutating = call.resource.resource.startsWith(MUTATING);
  const policies = isMutating ? 'mutatingadmissionpolicies' : 'validatingadmissionpolicies';
  const policy = await storedObject<KubeObject>(call, GROUP, policies, policyName);
  const { paramKind } = specOf(policy);
  const about = aboutKind(request, paramKind);
  const verb = paramRef.name ? 'get' : 'list';
  if (await mayRead(request, verb, about, paramRef.namespace ?? '', paramRef.name ?? '')) return undefined;
  const user = userText(call.user);
  const lacks = `to determine minimum required permissions and user ${user} does not have "${verb}" permission for all groups, versions and resources`;
  const why = !policy
    ? `unable to get policy ${policyName} ${lacks}`
    : paramKind && about.resource === '*'
      ? `unable to resolve paramKind &ParamKind{APIVersion:${paramKind.apiVersion},Kind:${paramKind.kind},} ${lacks}`
      : isMutating
        ? `user ${verb} does not have "${user}" permission on the object referenced by paramRef`
        : `user ${user} does not have "${verb}" permission on the object referenced by paramRef`;
  return cause.forbidden('spec.paramRef', why);
};

/**
 * Whoever lets a policy read parameters may read them himself: expressions could tell of them. Policies need it for all
 * objects of the kind, bindings for those that they name.
 */
export const policyParameters: AdmissionPlugin = {
  name: 'policy-parameters',
  about: ['validatingadmissionpolicies', 'mutatingadmissionpolicies']
    .flatMap((policies) => [policies, policies.replace(/ies$/, 'ybindings')])
    .map((resource) => `${GROUP}/${resource}`),
  validate: async (request) => {
    const { call, object, operation, subresource } = request;
    if (!object || operation === 'DELETE' || subresource !== '' || call.user.groups.includes('system:masters')) return;
    const isBinding = call.resource.resource.endsWith('bindings');
    const refused = await (isBinding ? checkBinding(request) : checkPolicy(request));
    if (!refused) return;
    throw invalid({ group: GROUP, kind: call.resource.kind, name: object.metadata.name ?? '' }, [refused]);
  },
};
