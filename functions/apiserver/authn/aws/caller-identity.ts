import { type Principal, readPrincipal } from './arn.ts';

/** Who signed a request, as AWS STS knows them. */
export interface CallerIdentity {
  arn: string;
  canonicalArn: string;
  account: string;
  principal: Principal;
  /** The unique id of the user or role (`AROA...`), which no later one of its name has. */
  principalId: string;
  /** Of an assumed role, else ''. Whoever may assume the role has chosen it. */
  sessionName: string;
  accessKeyId: string;
}

interface Result {
  Arn: string;
  UserId: string;
  Account: string;
}

const FIELDS = ['Arn', 'UserId', 'Account'] as const;

const fromJson = (text: string): Partial<Result> | undefined => {
  try {
    const answer = JSON.parse(text) as { GetCallerIdentityResponse?: { GetCallerIdentityResult?: Partial<Result> } };
    return answer?.GetCallerIdentityResponse?.GetCallerIdentityResult;
  } catch {
    return undefined;
  }
};

const XML =
  /^\s*(?:<\?xml[^>]*\?>\s*)?<GetCallerIdentityResponse\b[^>]*>\s*<GetCallerIdentityResult>([\s\S]*?)<\/GetCallerIdentityResult>/;

/** The three elements, each once; none of their values needs an entity. */
const fromXml = (text: string): Partial<Result> | undefined => {
  const inner = XML.exec(text)?.[1];
  if (inner === undefined) return undefined;
  const result: Partial<Result> = {};
  for (const field of FIELDS) {
    const [value, another] = [...inner.matchAll(new RegExp(`<${field}>\\s*([^<>&]*?)\\s*</${field}>`, 'g'))];
    if (value?.[1] !== undefined && another === undefined) result[field] = value[1];
  }
  return result;
};

const USER_ID = /^[\w:+=,.@-]{1,193}$/;

/**
 * Reads the answer of GetCallerIdentity, in JSON or XML. Undefined where it is not one, or does not agree with itself.
 * A role's UserId is `AROA...:session`; a user's and root's is the id alone; a federated user's is kept whole.
 */
export const readCallerIdentity = (text: string, accessKeyId: string): CallerIdentity | undefined => {
  const result = text.trimStart().startsWith('{') ? fromJson(text) : fromXml(text);
  const { Arn: arn, UserId: userId, Account: account } = result ?? {};
  if (typeof arn !== 'string' || typeof userId !== 'string' || typeof account !== 'string') return undefined;
  const principal = readPrincipal(arn);
  if (!principal || principal.account !== account || !USER_ID.test(userId)) return undefined;
  const known = { arn, canonicalArn: principal.canonical, account, principal, accessKeyId };
  if (principal.type === 'federated-user') return { ...known, principalId: userId, sessionName: '' };
  const [principalId = '', session, ...more] = userId.split(':');
  // What a session of a role is called stands in both; a role itself does not call.
  if (session !== principal.session || more.length > 0 || principal.type === 'role') return undefined;
  return { ...known, principalId, sessionName: session ?? '' };
};
