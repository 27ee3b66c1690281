import { timestamp } from '../../clock/clock.ts';
import { trackUpdate } from '../../machinery/apply/update.ts';
import { kindSchema } from '../../machinery/facts.ts';
import type { TokenRequest } from '../../machinery/kinds.d.ts';
import type { JsonObject, KubeObject } from '../../machinery/object.ts';
import type { ObjectSchema } from '../../machinery/schema.ts';
import {
  badRequest,
  type Cause,
  cause,
  conflict,
  invalid,
  notFound,
  serviceUnavailable,
} from '../../machinery/status.ts';
import { decode } from '../../store/decoded.ts';
import { admit, validate } from '../admission/admission.ts';
import type { TokenClaims } from '../authn/service-account-tokens.ts';
import type { AnyObject, Call } from '../context.ts';
import { decodeAs, parseRequest } from '../request-body.ts';
import { objectResponse } from '../respond.ts';
import { load } from '../verbs/get.ts';

const schema = kindSchema('authentication.k8s.io', 'v1', 'TokenRequest') as ObjectSchema;
const TOKEN_REQUEST = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' };
const SECONDS_MIN = 600;
const SECONDS_MAX = 2 ** 32;
const BOUND_KINDS = new Map([
  ['Pod', 'pods'],
  ['Secret', 'secrets'],
  ['Node', 'nodes'],
]);

const checked = (given: TokenRequest): number => {
  const causes: Cause[] = [];
  const seconds = given.spec?.expirationSeconds ?? 3600;
  if (seconds < SECONDS_MIN)
    causes.push(cause.invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds > SECONDS_MAX)
    causes.push(
      cause.invalid('spec.expirationSeconds', seconds, 'may not specify a duration larger than 2^32 seconds'),
    );
  if (causes.length > 0) throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest', name: '' }, causes);
  return seconds;
};

/** The node that a pod runs on; its name alone where it is not there. */
const nodeOf = async ({ server, info }: Call, name: string): Promise<NonNullable<TokenClaims['node']>> => {
  const stored = await server.store.get({ cluster: info.cluster, group: '', resource: 'nodes' }, name);
  return { name, uid: (stored && decode(stored).metadata.uid) ?? '' };
};

/** The object that the token dies with: it must exist, with the uid that was named. A pod's token says its node too. */
const boundObject = async (
  call: Call,
  given: TokenRequest,
): Promise<Pick<TokenClaims, 'bound' | 'node'> | undefined> => {
  const ref = given.spec?.boundObjectRef;
  if (!ref?.kind) return undefined;
  const resource = BOUND_KINDS.get(ref.kind);
  const { name = '' } = ref;
  if (!resource)
    throw badRequest(`cannot bind token for serviceaccount to object of type ${ref.apiVersion}, Kind=${ref.kind}`);
  const key = resource === 'nodes' ? name : `${call.info.namespace}/${name}`;
  const stored = await call.server.store.get({ cluster: call.info.cluster, group: '', resource }, key);
  if (!stored) throw notFound({ group: '', kind: resource, name });
  const object = decode(stored) as KubeObject & { spec?: { serviceAccountName?: string; nodeName?: string } };
  const uid = object.metadata.uid ?? '';
  if (ref.uid && ref.uid !== uid) {
    throw conflict(
      { group: '', kind: ref.kind, name },
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (resource === 'pods' && object.spec?.serviceAccountName !== call.info.name) {
    throw badRequest(
      `cannot bind token for serviceaccount "${call.info.name}" to pod running with different serviceaccount name.`,
    );
  }
  const nodeName = resource === 'pods' ? object.spec?.nodeName : undefined;
  return { bound: { kind: ref.kind, name, uid }, ...(nodeName && { node: await nodeOf(call, nodeName) }) };
};

/** The id (jti) of a token that was just signed. */
const idOf = (text: string): string =>
  (JSON.parse(Buffer.from(text.split('.')[1] ?? '', 'base64url').toString()) as { jti?: string }).jti ?? '';

/** POST serviceaccounts/{name}/token: a signed token of the account, for some time and some audiences. */
export const token = async (call: Call): Promise<Response> => {
  const { signer, clock } = call.server;
  if (!signer) throw serviceUnavailable('this server signs no tokens');
  const given = decodeAs(
    call,
    await parseRequest(call.request, 'TokenRequest'),
    TOKEN_REQUEST,
    schema,
  ) as unknown as TokenRequest;
  call.trail?.requestObject(given);
  const request = { call, operation: 'CREATE', subresource: 'token', object: given as AnyObject } as const;
  await admit(request);
  const named = given.metadata?.name;
  if (given.metadata?.namespace && given.metadata.namespace !== call.info.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  if (named && named !== call.info.name)
    throw invalid({ ...TOKEN_REQUEST, name: call.info.name }, [
      cause.invalid('metadata.name', named, 'must match the service account name if specified'),
    ]);
  const account = decode(await load(call));
  const seconds = checked(given);
  await validate(request);
  const bound = await boundObject(call, given);
  const issuedAt = Math.floor(clock.now() / 1000);
  const audiences = given.spec?.audiences?.length ? given.spec.audiences : [...signer.audiences];
  const text = await signer.sign(call.info.cluster, {
    namespace: call.info.namespace,
    serviceAccount: { name: call.info.name, uid: account.metadata.uid ?? '' },
    audiences,
    issuedAt,
    expiresAt: issuedAt + seconds,
    ...bound,
  });
  if (call.trail) call.trail.annotate('authentication.kubernetes.io/issued-credential-id', `JTI=${idOf(text)}`);
  const { name, uid = '' } = account.metadata;
  const managedFields = trackUpdate({
    before: undefined,
    after: given as unknown as JsonObject,
    schema,
    manager: call.fieldManager,
    apiVersion: 'authentication.k8s.io/v1',
    now: timestamp(clock.now()),
    subresource: 'token',
  });
  return objectResponse(call, 201, {
    ...given,
    metadata: {
      name,
      namespace: call.info.namespace,
      uid,
      creationTimestamp: timestamp(clock.now()),
      ...(managedFields && { managedFields }),
    },
    spec: { ...given.spec, audiences, expirationSeconds: seconds },
    status: { token: text, expirationTimestamp: timestamp((issuedAt + seconds) * 1000) },
  });
};
