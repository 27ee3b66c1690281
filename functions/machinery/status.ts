import type { Json } from './object.ts';

/** One cause of an Invalid Status, as upstream's field.Error gives it: `spec.containers[0].name`. */
export interface Cause {
  reason: CauseReason;
  message: string;
  field: string;
}

export type CauseReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueDuplicate'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  | 'FieldValueNotFound'
  | 'InternalError'
  | 'FieldManagerConflict'
  | 'UnexpectedServerResponse';

/** A metav1.Status of a failure. API conventions: "Response Status Kind". */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, Json>;
  status: 'Failure' | 'Success';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: { reason?: string; message?: string; field?: string }[];
  retryAfterSeconds?: number;
}

/** What names the object in a Status: `kind` is the plural resource, except in Invalid, where it is the kind. */
export interface Subject {
  group: string;
  kind: string;
  name: string;
}

/** A failure that a client is told as a Status. Everything else that is thrown is a fault of ours. */
export class StatusError extends Error {
  readonly status: Status;
  constructor(status: Status) {
    super(status.message ?? status.reason ?? 'failure');
    this.status = status;
  }
  get code(): number {
    return this.status.code ?? 500;
  }
  get reason(): string {
    return this.status.reason ?? '';
  }
}

const failure = (code: number, reason: string, message: string, details?: StatusDetails): StatusError =>
  new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason && { reason }),
    ...(details && { details }),
    code,
  });

const detailsOf = (s: Subject): StatusDetails => ({
  ...(s.name && { name: s.name }),
  ...(s.group && { group: s.group }),
  ...(s.kind && { kind: s.kind }),
});
const qualified = (s: Subject): string => (s.group ? `${s.kind}.${s.group}` : s.kind);

export const notFound = (s: Subject): StatusError =>
  failure(404, 'NotFound', `${qualified(s)} "${s.name}" not found`, detailsOf(s));
export const alreadyExists = (s: Subject): StatusError =>
  failure(409, 'AlreadyExists', `${qualified(s)} "${s.name}" already exists`, detailsOf(s));
export const conflict = (s: Subject, why: string): StatusError =>
  failure(409, 'Conflict', `Operation cannot be fulfilled on ${qualified(s)} "${s.name}": ${why}`, detailsOf(s));
export const forbidden = (s: Subject, why: string): StatusError =>
  failure(
    403,
    'Forbidden',
    `${s.kind ? `${qualified(s)}${s.name ? ` "${s.name}"` : ''} is ` : ''}forbidden: ${why}`,
    detailsOf(s),
  );
export const badRequest = (message: string): StatusError => failure(400, 'BadRequest', message);
export const unauthorized = (): StatusError => failure(401, 'Unauthorized', 'Unauthorized');
export const expired = (message: string): StatusError => failure(410, 'Expired', message);
export const gone = (message: string): StatusError => failure(410, 'Gone', message);
export const methodNotAllowed = (s: Subject, verb: string): StatusError =>
  failure(405, 'MethodNotAllowed', `${verb} is not supported on resources of kind "${qualified(s)}"`, detailsOf(s));
export const notAcceptable = (accepted: string[], details?: StatusDetails): StatusError =>
  failure(406, 'NotAcceptable', `only the following media types are accepted: ${accepted.join(', ')}`, details);
export const unsupportedMediaType = (accepted: string[], details?: StatusDetails): StatusError =>
  failure(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
    details,
  );
export const tooLarge = (message: string): StatusError => failure(413, 'RequestEntityTooLarge', message);
export const tooManyRequests = (message: string, retryAfterSeconds: number): StatusError =>
  failure(429, 'TooManyRequests', message, { retryAfterSeconds });
export const serviceUnavailable = (message: string): StatusError => failure(503, 'ServiceUnavailable', message);
export const timeout = (message: string, retryAfterSeconds = 0): StatusError =>
  failure(504, 'Timeout', message, { retryAfterSeconds });
export const internalError = (message: string): StatusError =>
  failure(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
export const genericFailure = failure;

/** 422 with every cause, as upstream's NewInvalid; `s.kind` is the kind, not the resource. */
export const invalid = (s: Subject, causes: Cause[]): StatusError => {
  // As upstream, what is said twice is one line of the message, and two causes.
  const lines = [...new Set(causes.map((c) => `${c.field}: ${c.message}`))];
  const text = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  return failure(422, 'Invalid', `${qualified(s)} "${s.name}" is invalid: ${text}`, { ...detailsOf(s), causes });
};

const show = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === undefined || value === null) return 'null';
  if (typeof value !== 'object') return String(value);
  // As Go encodes JSON, fit to stand in HTML.
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
};

/** Constructors of causes, with upstream's wording (k8s.io/apimachinery field errors). */
export const cause = {
  required: (field: string, detail = ''): Cause => ({
    reason: 'FieldValueRequired',
    field,
    message: detail ? `Required value: ${detail}` : 'Required value',
  }),
  invalid: (field: string, value: unknown, detail: string): Cause => ({
    reason: 'FieldValueInvalid',
    field,
    message: `Invalid value: ${show(value)}${detail ? `: ${detail}` : ''}`,
  }),
  typeInvalid: (field: string, value: unknown, detail: string): Cause => ({
    reason: 'FieldValueTypeInvalid',
    field,
    message: `Invalid value: ${show(value)}: ${detail}`,
  }),
  notSupported: (field: string, value: unknown, supported: readonly string[]): Cause => ({
    reason: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${show(value)}${
      supported.length ? `: supported values: ${supported.map((s) => JSON.stringify(s)).join(', ')}` : ''
    }`,
  }),
  duplicate: (field: string, value: unknown): Cause => ({
    reason: 'FieldValueDuplicate',
    field,
    message: `Duplicate value: ${show(value)}`,
  }),
  forbidden: (field: string, detail: string): Cause => ({
    reason: 'FieldValueForbidden',
    field,
    message: `Forbidden${detail ? `: ${detail}` : ''}`,
  }),
  notFound: (field: string, value: unknown): Cause => ({
    reason: 'FieldValueNotFound',
    field,
    message: `Not found: ${show(value)}`,
  }),
  tooLong: (field: string, max: number): Cause => ({
    reason: 'FieldValueTooLong',
    field,
    message: `Too long: may not be more than ${max} bytes`,
  }),
  internal: (field: string, detail: string): Cause => ({
    reason: 'InternalError',
    field,
    message: `Internal error: ${detail}`,
  }),
  tooMany: (field: string, actual: number, max: number): Cause => ({
    reason: 'FieldValueTooMany',
    field,
    message: `Too many: ${actual}: must have at most ${max} items`,
  }),
};
