import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { parseDuration } from '../../machinery/cel/times.ts';
import { dns1123Subdomain } from '../../machinery/names.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import { isInline } from './webhook/connection.ts';
import { type Conditions, compileConditions } from './webhook/match-conditions.ts';

/**
 * AuthorizationConfiguration of apiserver.config.k8s.io: which authorizers are asked, in order, and how those that are
 * webhooks are reached. Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/ and KEP-3221. The
 * checks, their paths and their words are upstream's.
 */
export interface AuthorizationConfiguration {
  authorizers: readonly AuthorizerConfiguration[];
}

export type AuthorizerConfiguration =
  | { type: 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny'; name: string }
  | { type: 'Webhook'; name: string; webhook: WebhookConfiguration };

export interface WebhookConfiguration {
  /** How long answers are kept, in milliseconds; 0: not at all. */
  authorizedMs: number;
  unauthorizedMs: number;
  timeoutMs: number;
  /** Of the SubjectAccessReviews that are sent. */
  version: 'v1' | 'v1beta1';
  failurePolicy: 'NoOpinion' | 'Deny';
  /** A path, or `data:;base64,...` with the file's text where functions have no files. */
  kubeConfigFile: string;
  conditions: Conditions;
}

const TIMEOUT_MS_MAX = 30_000;
const CONDITIONS_MAX = 64;
const VERSIONS = ['v1', 'v1beta1', 'v1alpha1'].map((version) => `apiserver.config.k8s.io/${version}`);
/** Upstream knows one more, of a policy file on the server's disk. */
const TYPES = ['AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'];

const text = z.string().default('');
const webhookShape = z.strictObject({
  authorizedTTL: text,
  cacheAuthorizedRequests: z.boolean().default(true),
  unauthorizedTTL: text,
  cacheUnauthorizedRequests: z.boolean().default(true),
  timeout: text,
  subjectAccessReviewVersion: text,
  matchConditionSubjectAccessReviewVersion: text,
  failurePolicy: text,
  connectionInfo: z.strictObject({ type: text, kubeConfigFile: z.string().nullish() }).default({ type: '' }),
  matchConditions: z
    .array(z.strictObject({ expression: text }))
    .nullish()
    .transform((list) => list ?? []),
});
const shape = z.strictObject({
  apiVersion: z.enum(VERSIONS),
  kind: z.literal('AuthorizationConfiguration'),
  authorizers: z
    .array(z.strictObject({ type: text, name: text, webhook: webhookShape.nullish() }))
    .nullish()
    .transform((list) => list ?? []),
});
type WebhookShape = z.infer<typeof webhookShape>;
type AuthorizerShape = z.infer<typeof shape>['authorizers'][number];

const pathText = (path: readonly PropertyKey[]): string =>
  path.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`)).join('');

const listed = (lines: readonly string[]): string => (lines.length === 1 ? (lines[0] ?? '') : `[${lines.join(', ')}]`);

/** Milliseconds of a duration; adds a cause for a text that is none. */
const duration = (out: Cause[], path: string, given: string, absent: number): number => {
  if (given === '') return absent;
  const parsed = parseDuration(given);
  if (!parsed) out.push(cause.invalid(path, given, 'must be a duration such as "5s" or "1m30s"'));
  return parsed ? Number(parsed.ns) / 1e6 : absent;
};

const chosen = (out: Cause[], path: string, given: string, among: readonly string[]): void => {
  if (given === '') out.push(cause.required(path));
  else if (!among.includes(given)) out.push(cause.notSupported(path, given, among));
};

const checkConnection = async (
  out: Cause[],
  path: string,
  { type, kubeConfigFile }: WebhookShape['connectionInfo'],
) => {
  const at = `${path}.connectionInfo`;
  chosen(out, `${at}.type`, type, ['InClusterConfig', 'KubeConfigFile']);
  // It would ask the server that asks.
  if (type === 'InClusterConfig') out.push(cause.forbidden(`${at}.type`, 'not allowed for kube-apiserver'));
  if (type !== 'KubeConfigFile') return;
  const file = kubeConfigFile ?? '';
  const bad = (detail: string) => void out.push(cause.invalid(`${at}.kubeConfigFile`, file, detail));
  if (file === '') return void out.push(cause.required(`${at}.kubeConfigFile`));
  if (isInline(file)) return;
  if (!isAbsolute(file)) return bad('must be an absolute path');
  try {
    if (!(await stat(file)).isFile()) bad('must be a regular file');
  } catch (error) {
    bad(`error loading file: ${(error as Error).message}`);
  }
};

const checkConditions = async (
  out: Cause[],
  path: string,
  list: WebhookShape['matchConditions'],
): Promise<Conditions> => {
  if (list.length > CONDITIONS_MAX) {
    out.push(cause.tooMany(`${path}.matchConditions`, list.length, CONDITIONS_MAX));
    return [];
  }
  const good: { expression: string; at: string }[] = [];
  list.forEach(({ expression }, i) => {
    const at = `${path}.matchConditions[${i}].expression`;
    if (expression.trim() === '') out.push(cause.required(at));
    else if (good.some((one) => one.expression === expression)) out.push(cause.duplicate(at, expression));
    else good.push({ expression, at });
  });
  if (good.length === 0) return [];
  const compiled = await compileConditions(good.map(({ expression }) => expression));
  compiled.forEach((one, i) => {
    if ('fault' in one) out.push(cause.invalid(good[i]?.at ?? path, one.expression, one.fault));
  });
  return compiled.filter((one) => 'program' in one);
};

/** As upstream, the path of a webhook's field is the authorizer's. */
const readWebhook = async (out: Cause[], path: string, given: WebhookShape): Promise<WebhookConfiguration> => {
  const timeoutMs = duration(out, `${path}.timeout`, given.timeout, 0);
  if (timeoutMs === 0) out.push(cause.required(`${path}.timeout`));
  else if (timeoutMs > TIMEOUT_MS_MAX || timeoutMs < 0)
    out.push(cause.invalid(`${path}.timeout`, given.timeout, 'must be > 0s and <= 30s'));
  const kept = (name: 'authorizedTTL' | 'unauthorizedTTL', absent: number): number => {
    const ms = duration(out, `${path}.${name}`, given[name], absent) || absent;
    if (ms < 0) out.push(cause.invalid(`${path}.${name}`, given[name], 'must be > 0s'));
    return ms;
  };
  const authorizedMs = kept('authorizedTTL', 300_000);
  const unauthorizedMs = kept('unauthorizedTTL', 30_000);
  chosen(out, `${path}.subjectAccessReviewVersion`, given.subjectAccessReviewVersion, ['v1', 'v1beta1']);
  const conditionsVersion = given.matchConditionSubjectAccessReviewVersion;
  const versionPath = `${path}.matchConditionSubjectAccessReviewVersion`;
  if (conditionsVersion !== '') chosen(out, versionPath, conditionsVersion, ['v1']);
  else if (given.matchConditions.length > 0)
    out.push(cause.required(versionPath, 'required if match conditions are specified'));
  chosen(out, `${path}.failurePolicy`, given.failurePolicy, ['NoOpinion', 'Deny']);
  await checkConnection(out, path, given.connectionInfo);
  return {
    authorizedMs: given.cacheAuthorizedRequests ? authorizedMs : 0,
    unauthorizedMs: given.cacheUnauthorizedRequests ? unauthorizedMs : 0,
    timeoutMs,
    version: given.subjectAccessReviewVersion === 'v1beta1' ? 'v1beta1' : 'v1',
    failurePolicy: given.failurePolicy === 'Deny' ? 'Deny' : 'NoOpinion',
    kubeConfigFile: given.connectionInfo.kubeConfigFile ?? '',
    conditions: await checkConditions(out, path, given.matchConditions),
  };
};

const checkName = (out: Cause[], path: string, { name, type }: AuthorizerShape, names: ReadonlySet<string>): void => {
  const wrong = dns1123Subdomain(name);
  if (name === '') out.push(cause.required(`${path}.name`));
  else if (names.has(name)) out.push(cause.duplicate(`${path}.name`, name));
  else if (wrong.length > 0)
    out.push(cause.invalid(`${path}.name`, name, `authorizer name is invalid: ${wrong.join(', ')}`));
  else if (type !== 'Webhook' && name !== type.toLowerCase())
    out.push(cause.invalid(`${path}.name`, name, `expected name ${type.toLowerCase()} for authorizer ${type}`));
};

const checkType = (out: Cause[], path: string, type: string, types: ReadonlySet<string>): boolean => {
  if (type === '') out.push(cause.required(`${path}.type`));
  else if (type === 'ABAC')
    out.push(cause.forbidden(`${path}.type`, 'policy files (ABAC) are not read here: use RBAC'));
  else if (!TYPES.includes(type)) out.push(cause.notSupported(`${path}.type`, type, TYPES));
  else if (type !== 'Webhook' && types.has(type)) out.push(cause.duplicate(`${path}.type`, type));
  else return true;
  return false;
};

const readAuthorizers = async (out: Cause[], list: readonly AuthorizerShape[]): Promise<AuthorizerConfiguration[]> => {
  if (list.length === 0) out.push(cause.required('authorizers', 'at least one authorization mode must be defined'));
  const types = new Set<string>();
  const names = new Set<string>();
  const read: AuthorizerConfiguration[] = [];
  for (const [i, one] of list.entries()) {
    const path = `authorizers[${i}]`;
    if (!checkType(out, path, one.type, types)) continue;
    checkName(out, path, one, names);
    types.add(one.type);
    names.add(one.name);
    const { name, webhook } = one;
    if (one.type !== 'Webhook') {
      if (webhook) out.push(cause.invalid(`${path}.webhook`, 'non-null', 'may only be specified when type=Webhook'));
      read.push({ type: one.type as 'Node', name });
    } else if (webhook) read.push({ type: 'Webhook', name, webhook: await readWebhook(out, path, webhook) });
    else out.push(cause.required(`${path}.webhook`, 'required when type=Webhook'));
  }
  return read;
};

/** Reads the document. Rejects with an Error that names every field that is wrong. */
export const parseAuthorizationConfiguration = async (document: unknown): Promise<AuthorizationConfiguration> => {
  const shaped = shape.safeParse(document);
  if (!shaped.success) {
    const lines = shaped.error.issues.map(
      ({ path, message }) => `${pathText(path)}${path.length ? ': ' : ''}${message}`,
    );
    throw new Error(listed(lines));
  }
  const causes: Cause[] = [];
  const authorizers = await readAuthorizers(causes, shaped.data.authorizers);
  if (causes.length > 0) throw new Error(listed(causes.map(({ field, message }) => `${field}: ${message}`)));
  return { authorizers };
};
