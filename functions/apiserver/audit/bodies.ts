import { gunzipSync } from 'node:zlib';
import { parseBody } from '../../machinery/body.ts';

/** JSON texts for events: each is valid JSON without line ends, whatever came. */

const decoder = new TextDecoder();
/** Line ends can stand between tokens only: in texts JSON escapes them. */
const oneLine = (json: string): string => (/[\r\n]/.test(json) ? json.replace(/[\r\n]+/g, ' ').trim() : json);

/** JSON of our own. */
export const textOf = (json: Uint8Array | string): string =>
  oneLine(typeof json === 'string' ? json.trimEnd() : decoder.decode(json).trimEnd());

/**
 * A patch's JSON as it was sent; a configuration in YAML as JSON. What is neither is a JSON string of its text: upstream
 * loses the event of such a request.
 */
export const patchText = (bytes: Uint8Array, type: string): string => {
  const text = decoder.decode(bytes);
  try {
    JSON.parse(text);
    return oneLine(text);
  } catch {
    return JSON.stringify(type.endsWith('yaml') ? (yamlValue(bytes) ?? text) : text);
  }
};

const yamlValue = (bytes: Uint8Array): unknown => {
  try {
    return parseBody(bytes, 'yaml').value;
  } catch {
    return undefined;
  }
};

interface Managed {
  metadata?: { managedFields?: unknown };
  items?: unknown;
  rows?: unknown;
}

const strip = (value: unknown): void => {
  const { metadata } = (value ?? {}) as Managed;
  if (metadata) delete metadata.managedFields;
};

/** An object's, a list's or a table's JSON without managedFields. */
export const withoutManagedFields = (json: string): string => {
  if (!json.includes('"managedFields"')) return json;
  const value = JSON.parse(json) as Managed;
  strip(value);
  if (Array.isArray(value.items)) for (const item of value.items) strip(item);
  if (Array.isArray(value.rows)) for (const row of value.rows) strip((row as { object?: unknown } | null)?.object);
  return JSON.stringify(value);
};

/** The JSON of a discovery document; undefined for everything else that is served beside objects. */
export const bodyOfDocument = async (response: Response, path: string): Promise<string | undefined> => {
  if (!/^\/apis?(\/|$)/.test(path) || !response.headers.get('content-type')?.startsWith('application/json')) return;
  const bytes = await response.clone().bytes();
  return textOf(response.headers.get('content-encoding') === 'gzip' ? gunzipSync(bytes) : bytes);
};
