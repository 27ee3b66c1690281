import { badRequest } from '../../machinery/status.ts';

/** Whom the headers of a request ask to act as. */
export interface Wanted {
  username: string;
  uid: string;
  groups: string[];
  extra: Record<string, string[]>;
}

const EXTRA = 'impersonate-extra-';

/** Headers with their names in lower case and their values one by one, as they came. */
type Repeated = ReadonlyMap<string, readonly string[]>;

/** Names and values in turn, as a connection brought them: joining repeated headers by commas loses what they say. */
export interface RawHeaders {
  rawHeaders?: readonly string[];
}

const PREFIX = 'impersonate-';
const NONE: Repeated = new Map();

/** Most requests have none: nothing is made for them. */
const repeated = (raw: readonly string[]): Repeated => {
  let found: Map<string, string[]> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const given = raw[i] ?? '';
    if (given.length <= PREFIX.length || (given[0] !== 'I' && given[0] !== 'i')) continue;
    const name = given.toLowerCase();
    if (!name.startsWith(PREFIX)) continue;
    found ??= new Map();
    const values = found.get(name) ?? [];
    values.push(raw[i + 1] ?? '');
    found.set(name, values);
  }
  return found ?? NONE;
};

/** fetch joins repeated headers by a comma and a blank; who came another way cannot say commas. */
const split = (headers: Headers): Repeated => {
  const found = new Map<string, string[]>();
  for (const [name, value] of headers) {
    if (!name.startsWith(PREFIX)) continue;
    const single = name === 'impersonate-user' || name === 'impersonate-uid';
    const values = single ? [value] : value.split(',').map((one) => one.trim());
    found.set(name, single ? values : values.filter(Boolean));
  }
  return found;
};

/** Headers come byte by byte; clients write names in UTF-8. */
const text = (value: string): string => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is not ASCII is looked for.
  if (/^[\x00-\x7f]*$/.test(value)) return value;
  const bytes = Buffer.from(value, 'latin1');
  const decoded = bytes.toString();
  return Buffer.compare(Buffer.from(decoded), bytes) === 0 ? decoded : value;
};

const extraKey = (header: string): string => {
  const key = header.slice(EXTRA.length);
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
};

const goStrings = (values: readonly string[]): string =>
  values.length === 0 ? '[]string(nil)' : `[]string{${values.map((one) => JSON.stringify(one)).join(', ')}}`;

const goExtra = (extra: Wanted['extra']): string => {
  const entries = Object.entries(extra).map(([key, values]) => `${JSON.stringify(key)}:${goStrings(values)}`);
  return `map[string][]string${entries.length === 0 ? '(nil)' : `{${entries.join(', ')}}`}`;
};

/** As Go prints it, for that is what upstream answers with. */
const shown = ({ uid, groups, extra }: Wanted): string =>
  `&user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:${goStrings(groups)}, Extra:${goExtra(extra)}}`;

/** What a request asks for; undefined where it has no such headers. Throws 400 where they name no user. */
export const wantedOf = (request: Pick<Request, 'headers'> & RawHeaders): Wanted | undefined => {
  const all = request.rawHeaders ? repeated(request.rawHeaders) : split(request.headers);
  if (all.size === 0) return undefined;
  const first = (name: string): string => text(all.get(name)?.[0] ?? '');
  const fields = new Map<string, string[]>();
  for (const [name, values] of all) {
    if (!name.startsWith(EXTRA)) continue;
    const key = extraKey(name);
    fields.set(key, [...(fields.get(key) ?? []), ...values.map(text)]);
  }
  // Whatever a field is called, it is one of the object's own.
  const extra = Object.fromEntries(fields);
  const groups = (all.get('impersonate-group') ?? []).map(text);
  const wanted = { username: first('impersonate-user'), uid: first('impersonate-uid'), groups, extra };
  if (wanted.username) return wanted;
  if (!wanted.uid && groups.length === 0 && Object.keys(extra).length === 0) return undefined;
  throw badRequest(`requested ${shown(wanted)} without impersonating a user name`);
};
