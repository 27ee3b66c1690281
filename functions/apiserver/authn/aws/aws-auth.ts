import { parse } from 'yaml';

/** What `aws-auth` makes of one principal; templates are not filled in. */
export interface AwsAuthMapping {
  /** '' where none is given. */
  username: string;
  groups: readonly string[];
}

/** The ConfigMap kube-system/aws-auth, as EKS and aws-iam-authenticator read it. */
export interface AwsAuth {
  /** By ARN in lower case, without a path, as callers' canonical ARNs are compared. */
  roles: ReadonlyMap<string, AwsAuthMapping>;
  users: ReadonlyMap<string, AwsAuthMapping>;
  /** Accounts whose principals come in under their ARN, without groups. */
  accounts: ReadonlySet<string>;
  /** Which texts of it are no list and so let nobody in. */
  unread: readonly string[];
}

/** A thousand entries. Clusters share the thread: none may keep it for long with what it writes. */
const TEXT_CHARACTERS_MAX = 128 << 10;
const BRACKETS_MAX = 8_000;

const isBounded = (text: string): boolean => {
  if (text.length > TEXT_CHARACTERS_MAX) return false;
  let brackets = 0;
  for (const char of text) if (char === '[' || char === '{') brackets++;
  return brackets <= BRACKETS_MAX;
};

/** A list out of YAML in which every scalar is text: account ids keep their zeros. An alias could make much of little. */
const listIn = (data: Readonly<Record<string, string>> | undefined, key: string, unread: string[]): unknown[] => {
  const text = data?.[key];
  if (typeof text !== 'string' || text.trim() === '') return [];
  try {
    const options = { schema: 'failsafe', maxAliasCount: 0, uniqueKeys: false, logLevel: 'error' } as const;
    const value: unknown = isBounded(text) ? parse(text, options) : undefined;
    if (Array.isArray(value)) return value;
  } catch {
    // It is told of below.
  }
  unread.push(key);
  return [];
};

/** The fields of an entry in lower case: `roleARN` is `rolearn`. */
const fieldsOf = (entry: unknown): Map<string, unknown> =>
  new Map(
    typeof entry === 'object' && entry !== null && !Array.isArray(entry)
      ? Object.entries(entry).map(([name, value]) => [name.toLowerCase(), value])
      : [],
  );

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '');

const mappingsIn = (list: unknown[], arnField: string): Map<string, AwsAuthMapping> => {
  const found = new Map<string, AwsAuthMapping>();
  for (const entry of list) {
    const fields = fieldsOf(entry);
    const arn = fields.get(arnField);
    const username = fields.get('username') ?? '';
    const groups = fields.get('groups') || [];
    if (typeof arn !== 'string' || arn === '' || typeof username !== 'string' || !isStrings(groups)) continue;
    found.set(arn.toLowerCase(), { username, groups });
  }
  return found;
};

/** Reads the data of the ConfigMap. What is not of its form is left out, entry by entry; of two of an ARN the last counts. */
export const readAwsAuth = (data: Readonly<Record<string, string>> | undefined): AwsAuth => {
  const unread: string[] = [];
  const accounts = listIn(data, 'mapAccounts', unread);
  return {
    roles: mappingsIn(listIn(data, 'mapRoles', unread), 'rolearn'),
    users: mappingsIn(listIn(data, 'mapUsers', unread), 'userarn'),
    accounts: new Set(accounts.filter((id): id is string => typeof id === 'string' && /^\d{12}$/.test(id))),
    unread,
  };
};
