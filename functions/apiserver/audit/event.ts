import { microTimestamp } from '../../clock/clock.ts';
import type { UserInfo } from '../registry.ts';

/** audit.k8s.io/v1 Level, from nothing to bodies and answers. */
export const levels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type Level = (typeof levels)[number];

/** audit.k8s.io/v1 Stage, in the order of a request's life. */
export const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type Stage = (typeof stages)[number];

/** audit.k8s.io/v1 ObjectReference; what is empty is left out. */
export interface ObjectReference {
  resource: string;
  namespace: string;
  name: string;
  uid?: string;
  apiGroup: string;
  apiVersion: string;
  resourceVersion?: string;
  subresource: string;
  /** Its JSON; whoever changes the reference takes it away. */
  text?: string | undefined;
}

/** The fields of a Status that an event repeats; only the code for answers that are no Status. */
export interface ResponseStatus {
  status?: string;
  message?: string;
  reason?: string;
  details?: object;
  code?: number;
}

/** What is known of a request so far. Bodies are JSON texts without line ends. */
export interface EventState {
  level: Level;
  auditId: string;
  requestUri: string;
  verb: string;
  /** Absent where the caller could not be authenticated. */
  user?: UserInfo | undefined;
  impersonated?: UserInfo;
  /** The verb by which a constrained impersonation was allowed (KEP-5284). */
  constraint?: string;
  sourceIps: readonly string[];
  userAgent: string;
  object?: ObjectReference;
  response?: ResponseStatus;
  requestBody?: string;
  responseBody?: string;
  /** Milliseconds since the epoch. */
  receivedAt: number;
  annotations: Record<string, string>;
  /** Parts of the JSON that no event of the request changes, once they are made. */
  head?: string;
  asked?: string;
  whence?: string;
}

/** One event as backends take it: JSON of an audit.k8s.io/v1 Event, made once. */
export interface AuditEvent {
  readonly level: Level;
  /** Without a line end. */
  readonly json: string;
  /** The same event without its bodies, marked as truncated. */
  truncated(): string;
  /** One line in the legacy format. */
  legacy(): string;
}

const userTexts = new WeakMap<UserInfo, string>();

/** authentication/v1 UserInfo without what is empty. */
const userText = (user: UserInfo | undefined): string => {
  if (!user) return '{}';
  const known = userTexts.get(user);
  if (known !== undefined) return known;
  const { username, uid, groups, extra } = user;
  const text = JSON.stringify({
    ...(username && { username }),
    ...(uid && { uid }),
    ...(groups.length > 0 && { groups }),
    ...(Object.keys(extra).length > 0 && { extra }),
  });
  userTexts.set(user, text);
  return text;
};

const field = (name: string, value: string | undefined): string => (value ? `"${name}":${JSON.stringify(value)},` : '');

const also = (name: string, value: string | undefined): string => (value ? `,"${name}":${JSON.stringify(value)}` : '');

const objectText = (object: ObjectReference | undefined): string => {
  if (!object) return '';
  if (object.text !== undefined) return object.text;
  const { resource, namespace, name, uid, apiGroup, apiVersion, resourceVersion, subresource } = object;
  object.text = `"objectRef":{"resource":${JSON.stringify(resource)}${also('namespace', namespace)}${also('name', name)}${also('uid', uid)}${also('apiGroup', apiGroup)}${also('apiVersion', apiVersion)}${also('resourceVersion', resourceVersion)}${also('subresource', subresource)}},`;
  return object.text;
};

const responseText = (response: ResponseStatus | undefined): string => {
  if (!response) return '';
  const { status, message, reason, details, code } = response;
  if (!status) return `"responseStatus":{"metadata":{},"code":${code ?? 0}},`;
  const text = JSON.stringify({ metadata: {}, status, message, reason, details, code });
  return `"responseStatus":${text},`;
};

/** Keys are few and come again. */
const keyTexts = new Map<string, string>();
const KEYS_MAX = 1000;
const keyText = (key: string): string => {
  let text = keyTexts.get(key);
  if (text === undefined) {
    if (keyTexts.size >= KEYS_MAX) keyTexts.clear();
    text = `${JSON.stringify(key)}:`;
    keyTexts.set(key, text);
  }
  return text;
};

const annotationsText = (annotations: Record<string, string>): string => {
  const keys = Object.keys(annotations);
  if (keys.length === 0) return '';
  let out = '';
  for (const key of keys.sort()) out += `${out && ','}${keyText(key)}${JSON.stringify(annotations[key])}`;
  return `,"annotations":{${out}}`;
};

const bodyText = ({ level, requestBody, responseBody }: EventState): string => {
  if (level === 'None' || level === 'Metadata') return '';
  const asked = requestBody ? `"requestObject":${requestBody},` : '';
  return level === 'RequestResponse' && responseBody ? `${asked}"responseObject":${responseBody},` : asked;
};

const impersonatedText = ({ impersonated, constraint }: EventState): string => {
  if (!impersonated) return '';
  const metadata = constraint
    ? `"authenticationMetadata":${JSON.stringify({ impersonationConstraint: constraint })},`
    : '';
  return `"impersonatedUser":${userText(impersonated)},${metadata}`;
};

/** What no event of a request adds to: who asks for what, and from where. */
const askedText = (state: EventState): string =>
  `${field('requestURI', state.requestUri)}${field('verb', state.verb)}"user":${userText(state.user)},`;
const whenceText = ({ sourceIps, userAgent }: EventState): string =>
  `${sourceIps.length ? `"sourceIPs":${JSON.stringify(sourceIps)},` : ''}${field('userAgent', userAgent)}`;

const eventText = (state: EventState, stage: Stage, at: number, bodies: string): string => {
  state.asked ??= askedText(state);
  state.whence ??= whenceText(state);
  state.head ??= `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"${state.level}",${field('auditID', state.auditId)}"stage":"`;
  const answered = `${objectText(state.object)}${responseText(state.response)}${bodies}`;
  const times = `"requestReceivedTimestamp":"${microTimestamp(state.receivedAt)}","stageTimestamp":"${microTimestamp(at)}"`;
  return `${state.head}${stage}",${state.asked}${impersonatedText(state)}${state.whence}${answered}${times}${annotationsText(state.annotations)}}`;
};

const quoted = (text: string): string => JSON.stringify(text);
const listed = (texts: readonly string[]): string => texts.map(quoted).join(',');

/** Upstream's one-line form; times as RFC 3339. */
const legacyText = (state: EventState, stage: Stage): string => {
  const { user, impersonated } = state;
  const at = new Date(state.receivedAt).toISOString().replace(/\.?0*Z$/, 'Z');
  const groups = user?.username && user.groups.length ? listed(user.groups) : '<none>';
  const asGroups = impersonated ? listed(impersonated.groups) : '<lookup>';
  return [
    `${at} AUDIT: id=${quoted(state.auditId)} stage=${quoted(stage)} ip=${quoted(state.sourceIps[0] ?? '<unknown>')}`,
    `method=${quoted(state.verb)} user=${quoted(user?.username || '<none>')} groups=${quoted(groups)}`,
    `as=${quoted(impersonated?.username ?? '<self>')} asgroups=${quoted(asGroups)} user-agent=${quoted(state.userAgent)}`,
    `namespace=${quoted(state.object?.namespace || '<none>')} uri=${quoted(state.requestUri)} response="${state.response?.code ?? '<deferred>'}"`,
  ].join(' ');
};

/** Tells readers of an event that its bodies were left out, as upstream does. */
const TRUNCATED = { 'audit.k8s.io/truncated': 'true' };

/** The event of a request at a stage. It is text at once: the state may go on changing. */
export const eventOf = (state: EventState, stage: Stage, at: number): AuditEvent => {
  const { level } = state;
  return {
    level,
    json: eventText(state, stage, at, bodyText(state)),
    truncated: () => eventText({ ...state, annotations: { ...state.annotations, ...TRUNCATED } }, stage, at, ''),
    legacy: () => legacyText(state, stage),
  };
};
