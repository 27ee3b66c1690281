import { badRequest, type Cause, cause, expired, genericFailure, invalid } from '../../machinery/status.ts';

/** The options of a list or watch, checked. */
export interface ListOptions {
  limit: number;
  /** Without a revision: the rest as it is now, after an earlier token expired. */
  continue: { revision: bigint | undefined; after: string } | undefined;
  /** undefined: not given; 0: whatever is at hand. */
  revision: bigint | undefined;
  match: '' | 'Exact' | 'NotOlderThan';
  timeoutMs: number | undefined;
  /** undefined: not given; only a watch from no version begins with the objects that there are. */
  sendInitialEvents: boolean | undefined;
  bookmarks: boolean;
}

const integer = (query: URLSearchParams, name: string): number | undefined => {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
};

const flag = (query: URLSearchParams, name: string): boolean => {
  const value = query.get(name);
  return value !== null && value !== 'false' && value !== '0';
};

const refused = (causes: Cause[]) => invalid({ group: 'meta.k8s.io', kind: 'ListOptions', name: '' }, causes);

/** A continue token is the position after a key at a revision, so that every page is of one snapshot. */
export const continueToken = (revision: bigint | undefined, after: string): string => {
  const token = { v: 'meta.k8s.io/v1', rv: String(revision ?? -1n), start: after };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
};

const readToken = (text: string): ListOptions['continue'] => {
  const wrong = /[^A-Za-z0-9_-]/.exec(text)?.index ?? (text.length % 4 === 1 ? text.length - 1 : -1);
  const bad = () =>
    badRequest(
      `invalid continue token: continue key is not valid${wrong < 0 ? '' : `: illegal base64 data at input byte ${wrong}`}`,
    );
  let token: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString()) as typeof token;
  } catch {
    throw bad();
  }
  if (token === null || typeof token !== 'object' || token.v !== 'meta.k8s.io/v1' || typeof token.start !== 'string')
    throw bad();
  if (typeof token.rv !== 'string' || !/^(-1|[1-9]\d*)$/.test(token.rv)) throw bad();
  return { revision: token.rv === '-1' ? undefined : BigInt(token.rv), after: token.start };
};

const checkMatch = (query: URLSearchParams, isWatch: boolean): void => {
  const match = query.get('resourceVersionMatch') ?? '';
  const version = query.get('resourceVersion') ?? '';
  const initial = query.has('sendInitialEvents');
  const causes: Cause[] = [];
  if (isWatch) {
    if (initial && match !== 'NotOlderThan')
      causes.push(
        cause.forbidden(
          'resourceVersionMatch',
          'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
        ),
      );
    if (!initial && match)
      causes.push(
        cause.forbidden(
          'resourceVersionMatch',
          'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
        ),
      );
    if (match && match !== 'NotOlderThan')
      causes.push(cause.notSupported('resourceVersionMatch', match, ['NotOlderThan']));
    if (match && query.get('continue'))
      causes.push(
        cause.forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'),
      );
  } else {
    if (initial) causes.push(cause.forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
    if (match) {
      if (version === '')
        causes.push(
          cause.forbidden(
            'resourceVersionMatch',
            'resourceVersionMatch is forbidden unless resourceVersion is provided',
          ),
        );
      if (query.get('continue'))
        causes.push(
          cause.forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'),
        );
      if (match !== 'Exact' && match !== 'NotOlderThan')
        causes.push(cause.notSupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']));
      if (match === 'Exact' && version === '0')
        causes.push(
          cause.forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
        );
    }
  }
  if (causes.length) throw refused(causes);
};

/** Reads and checks a list's or watch's options. Throws 400 and 422 Statuses as upstream does. */
export const listOptions = (query: URLSearchParams, isWatch: boolean): ListOptions => {
  const limit = integer(query, 'limit') ?? 0;
  const seconds = integer(query, 'timeoutSeconds');
  checkMatch(query, isWatch);
  const token = query.get('continue') ?? '';
  const next = token && !isWatch ? readToken(token) : undefined;
  const version = query.get('resourceVersion') ?? '';
  if (version && !/^\d+$/.test(version))
    throw badRequest(
      `${isWatch ? '' : 'invalid resource version: '}resourceVersion: Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`,
    );
  if (token && version && version !== '0' && !isWatch)
    throw badRequest('specifying resource version is not allowed when using continue');
  return {
    limit: Math.max(limit, 0),
    continue: next,
    revision: version ? BigInt(version) : undefined,
    match: (query.get('resourceVersionMatch') ?? '') as ListOptions['match'],
    timeoutMs: seconds === undefined || seconds <= 0 ? undefined : seconds * 1000,
    sendInitialEvents: query.has('sendInitialEvents') ? flag(query, 'sendInitialEvents') : undefined,
    bookmarks: flag(query, 'allowWatchBookmarks'),
  };
};

/** 504 for a resourceVersion that the store has not reached; `retry` where it may come soon. */
export const versionTooLarge = (wanted: bigint, current: bigint, retry: boolean) =>
  genericFailure(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    ...(retry && { retryAfterSeconds: 1 }),
  });

/** The answer to a token whose snapshot is gone carries one that lists the rest as it is now, like upstream's. */
export const continueExpired = (after: string) => {
  const error = expired(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the ' +
      'continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing ' +
      'with the provided token results in an inconsistent list - objects that were created, modified, or deleted between ' +
      'the time the first chunk was returned and now may show up in the list.',
  );
  error.status.metadata.continue = continueToken(undefined, after);
  return error;
};
