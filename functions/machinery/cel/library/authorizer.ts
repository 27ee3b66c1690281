/**
 * The authorizer that expressions of admission ask (Kubernetes CEL libraries, "Authorizer"):
 *
 *   authorizer.group('apps').resource('deployments').namespace('x').check('create').allowed()
 *   authorizer.serviceAccount('ns', 'name').path('/healthz').check('get').reason()
 *
 * Decisions are made elsewhere and take time, which an evaluation has not: ask() throws AuthorizationPending where the
 * answer is not known yet, and the evaluation is run again once it is.
 */
import { dns1123Label, dns1123Subdomain } from '../../names.ts';
import { func, type Library, method } from '../library.ts';
import { bool, opaque, string } from '../types.ts';
import { EvalFault, OpaqueValue, type Value } from '../values.ts';

/** A question: about a resource where `resource` is set, about a path otherwise. */
export interface AccessQuestion {
  /** Of whom: '' for the one who made the request, else `namespace/name` of a service account. */
  serviceAccount: string;
  path: string;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  verb: string;
  fieldSelector: string;
  labelSelector: string;
}
export interface AccessDecision {
  allowed: boolean;
  reason: string;
  /** Why no decision could be made; '' where one was. */
  error: string;
}
export type Ask = (question: AccessQuestion) => AccessDecision;

/** Thrown through an evaluation that needs an answer first. */
export class AuthorizationPending extends Error {
  readonly question: AccessQuestion;
  constructor(question: AccessQuestion) {
    super('authorization pending');
    this.question = question;
  }
}

const NAME = 'kubernetes.authorization';
export const authorizerType = opaque(`${NAME}.Authorizer`);
export const resourceCheckType = opaque(`${NAME}.ResourceCheck`);
const pathCheck = opaque(`${NAME}.PathCheck`);
const groupCheck = opaque(`${NAME}.GroupCheck`);
const decision = opaque(`${NAME}.Decision`);

interface Asking {
  ask: Ask;
  question: AccessQuestion;
}
const NOTHING: AccessQuestion = {
  serviceAccount: '',
  path: '',
  group: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  verb: '',
  fieldSelector: '',
  labelSelector: '',
};
const made = (type: string, content: unknown): OpaqueValue => new OpaqueValue(`${NAME}.${type}`, content, () => false);

/** The variable `authorizer`. */
export const authorizerValue = (ask: Ask): OpaqueValue => made('Authorizer', { ask, question: NOTHING });
/** The variable `authorizer.requestResource`. */
export const requestResourceValue = (ask: Ask, about: Partial<AccessQuestion>): OpaqueValue =>
  made('ResourceCheck', { ask, question: { ...NOTHING, ...about } });

const refined = (value: OpaqueValue, type: string, more: Partial<AccessQuestion>): OpaqueValue => {
  const { ask, question } = value.content as Asking;
  return made(type, { ask, question: { ...question, ...more } });
};
const check = (value: OpaqueValue, verb: string): Value => {
  const { ask, question } = value.content as Asking;
  return made('Decision', ask({ ...question, verb }));
};
const decided = (value: OpaqueValue): AccessDecision => value.content as AccessDecision;

const refine = (field: keyof AccessQuestion, id = `resourcecheck_${field}`) => [
  method(id, [resourceCheckType, string], resourceCheckType, (value: OpaqueValue, text: string) =>
    refined(value, 'ResourceCheck', { [field]: text }),
  ),
];

export const authorization: Library = {
  types: {
    [`${NAME}.Authorizer`]: authorizerType,
    [`${NAME}.PathCheck`]: pathCheck,
    [`${NAME}.GroupCheck`]: groupCheck,
    [`${NAME}.ResourceCheck`]: resourceCheckType,
    [`${NAME}.Decision`]: decision,
  },
  functions: {
    path: [
      method('authorizer_path', [authorizerType, string], pathCheck, (value: OpaqueValue, path: string) => {
        if (path.trim() === '') throw new EvalFault('path must not be empty');
        return refined(value, 'PathCheck', { path });
      }),
    ],
    group: [
      method('authorizer_group', [authorizerType, string], groupCheck, (value: OpaqueValue, group: string) =>
        refined(value, 'GroupCheck', { group }),
      ),
    ],
    serviceAccount: [
      method(
        'authorizer_serviceaccount',
        [authorizerType, string, string],
        authorizerType,
        (value: OpaqueValue, namespace: string, name: string) => {
          if (dns1123Subdomain(name).length > 0) throw new EvalFault('Invalid service account name');
          if (dns1123Label(namespace).length > 0) throw new EvalFault('Invalid service account namespace');
          return refined(value, 'Authorizer', { serviceAccount: `${namespace}/${name}` });
        },
      ),
    ],
    resource: [
      method('groupcheck_resource', [groupCheck, string], resourceCheckType, (value: OpaqueValue, resource: string) => {
        if (resource.trim() === '') throw new EvalFault('resource must not be empty');
        return refined(value, 'ResourceCheck', { resource });
      }),
    ],
    subresource: refine('subresource'),
    namespace: refine('namespace'),
    name: refine('name'),
    fieldSelector: refine('fieldSelector', 'authorizer_fieldselector'),
    labelSelector: refine('labelSelector', 'authorizer_labelselector'),
    check: [
      method('pathcheck_check', [pathCheck, string], decision, check),
      method('resourcecheck_check', [resourceCheckType, string], decision, check),
    ],
    errored: [method('decision_errored', [decision], bool, (value: OpaqueValue) => decided(value).error !== '')],
    error: [method('decision_error', [decision], string, (value: OpaqueValue) => decided(value).error)],
    allowed: [method('decision_allowed', [decision], bool, (value: OpaqueValue) => decided(value).allowed)],
    reason: [method('decision_reason', [decision], string, (value: OpaqueValue) => decided(value).reason)],
  },
};

/** A key of a JSON patch's path, its `~` and `/` escaped (RFC 6901). */
export const jsonPatchKeys: Library = {
  functions: {
    'jsonpatch.escapeKey': [
      func('string_jsonpatch_escapeKey_string', [string], string, (text: string) =>
        text.replaceAll('~', '~0').replaceAll('/', '~1'),
      ),
    ],
  },
};
