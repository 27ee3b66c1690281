import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import { valueOfAnswer } from './answers.ts';
import type { FuzzRequest } from './requests.ts';
import { type Answer, DEADLINE_MS, type Transport, within } from './transports.ts';

/** Takes requests as the administrator and gives back what they answer. */
export interface Reader {
  send(method: string, path: string, options?: { accept?: string; body?: string }): Promise<Answer>;
}

export const createReader = (transport: Transport, token: string): Reader => ({
  send: async (method, path, { accept, body } = {}) => {
    const sent = transport.send({
      method,
      path,
      headers: {
        authorization: `Bearer ${token}`,
        'user-agent': 'fuzz/1',
        ...(accept !== undefined && { accept }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      body: body === undefined ? undefined : Buffer.from(body),
    });
    const answer = await within(sent);
    if (!answer) throw new Error(`no answer in ${DEADLINE_MS} ms to ${method} ${path}`);
    return answer;
  },
});

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const versionOf = (value: Json | undefined): Json | undefined =>
  isObject(value) && isObject(value.metadata) ? value.metadata.resourceVersion : undefined;

/** Where an object that was written stands; undefined where the answer is no stored object. */
export const ownPath = (request: FuzzRequest, value: Json | undefined): string | undefined => {
  const { resource } = request;
  if (!resource || !isObject(value) || value.kind !== resource.kind || !isObject(value.metadata)) return undefined;
  const { name, namespace, resourceVersion } = value.metadata;
  if (typeof name !== 'string' || typeof resourceVersion !== 'string' || !resource.verbs.has('update'))
    return undefined;
  if (!name.isWellFormed()) throw new Error(`a name that is no text: ${JSON.stringify(name)}`);
  const root = resource.group ? `/apis/${resource.group}/${resource.version}` : `/api/${resource.version}`;
  const inside = resource.namespaced ? `/namespaces/${encodeURIComponent(String(namespace))}` : '';
  return `${root}${inside}/${resource.resource}/${encodeURIComponent(name)}`;
};

/** Drops what protobuf cannot tell from absent: null, "", 0, false, [] and {}. */
const withoutEmpty = (value: Json | undefined): Json | undefined => {
  if (Array.isArray(value)) return value.length > 0 ? value.map((item) => withoutEmpty(item) ?? null) : undefined;
  if (!isObject(value)) return value === '' || value === 0 || value === false || value === null ? undefined : value;
  const out: JsonObject = {};
  for (const [key, inner] of Object.entries(value)) {
    // Claim templates have a kind in JSON only: protobuf has no place for it.
    const kept = key === 'volumeClaimTemplates' ? undefined : withoutEmpty(inner);
    if (kept !== undefined) Object.defineProperty(out, key, { value: kept, enumerable: true });
  }
  return Object.keys(out).length > 0 ? out : undefined;
};

const refusal = (what: string, answer: Answer): string =>
  `${what}: ${answer.status} ${answer.body.toString().slice(0, 400)}`;

const otherForms = async (reader: Reader, path: string, value: Json, custom: boolean): Promise<string | undefined> => {
  const table = await reader.send('GET', path, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
  if (table.status !== 200 && table.status !== 404) return refusal('as a Table', table);
  const yaml = await reader.send('GET', path, { accept: 'application/yaml' });
  const fromYaml = yaml.status === 200 ? valueOfAnswer(yaml) : undefined;
  if (
    fromYaml !== undefined &&
    versionOf(fromYaml) === versionOf(value) &&
    !isDeepStrictEqual(withoutEmpty(fromYaml), withoutEmpty(value))
  )
    return `YAML differs from JSON: ${JSON.stringify(fromYaml).slice(0, 600)}`;
  if (custom) return undefined;
  const protobuf = await reader.send('GET', path, { accept: 'application/vnd.kubernetes.protobuf' });
  if (protobuf.status !== 200) return protobuf.status === 404 ? undefined : refusal('as protobuf', protobuf);
  const decoded = valueOfAnswer(protobuf);
  if (versionOf(decoded) !== versionOf(value)) return undefined;
  return isDeepStrictEqual(withoutEmpty(decoded), withoutEmpty(value))
    ? undefined
    : `protobuf differs from JSON: ${JSON.stringify(decoded).slice(0, 600)}`;
};

/**
 * What was written is read back as it was answered, in every form, and an update that changes nothing changes nothing.
 * Others may write between two steps: a new resourceVersion then excuses a difference, and a conflict is no fault.
 */
export const readBack = async (
  reader: Reader,
  path: string,
  written: Json,
  custom: boolean,
  thorough: boolean,
): Promise<string | undefined> => {
  const got = await reader.send('GET', path);
  if (got.status === 404) return undefined;
  if (got.status !== 200) return refusal('reading back', got);
  const value = valueOfAnswer(got) as Json;
  if (versionOf(value) === versionOf(written) && !isDeepStrictEqual(withoutEmpty(value), withoutEmpty(written)))
    return `read back as ${JSON.stringify(value).slice(0, 600)} but written as ${JSON.stringify(written).slice(0, 600)}`;
  const put = await reader.send('PUT', path, { body: got.body.toString() });
  if (put.status === 404 || put.status === 409 || put.status === 201) return undefined;
  if (put.status !== 200) return refusal('updating unchanged', put);
  const after = valueOfAnswer(put);
  if (versionOf(after) !== versionOf(value))
    return `an update without a change went from ${JSON.stringify(value).slice(0, 900)} to ${JSON.stringify(after).slice(0, 900)}`;
  return thorough ? otherForms(reader, path, value, custom) : undefined;
};
