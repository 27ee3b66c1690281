import { parseDocument } from 'yaml';
import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import { decodeProtobuf, decodeWatchFrames } from '../../functions/machinery/protobuf/codec.ts';
import type { FuzzRequest } from './requests.ts';
import type { Answer } from './transports.ts';

const strict = new TextDecoder('utf-8', { fatal: true });
/** Answers of nodes and of nobody, and documents that are no API objects. */
const relayed = /\/(proxy|log|exec|attach|portforward)(\/|\?|$)/;
const noObjects = /^\/(openapi|metrics|healthz|livez|readyz|version|logs|debug|ui|\.well-known|openid)/;

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value of a body by its media type; undefined where it is none. Throws where it is not what it says. */
export const valueOfAnswer = ({ headers, body }: Answer): Json | undefined => {
  const type = (headers['content-type'] ?? '').split(';')[0];
  if (headers['content-encoding'] !== undefined) return undefined;
  if (type === 'application/json') return JSON.parse(strict.decode(body)) as Json;
  if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body);
  if (type !== 'application/yaml' || body.length > 200_000) return undefined;
  const document = parseDocument(strict.decode(body));
  if (document.errors.length > 0) throw new Error(`broken YAML: ${document.errors[0]?.message}`);
  return document.toJS({ maxAliasCount: -1 }) as Json;
};

const statusFault = (answer: Answer, value: Json | undefined): string | undefined => {
  if (!isObject(value)) return 'the refusal is no object';
  if (value.kind !== 'Status' || value.apiVersion !== 'v1') return `the refusal is a ${value.apiVersion} ${value.kind}`;
  if (value.status !== 'Failure') return `status ${JSON.stringify(value.status)} of a refusal`;
  if (value.code !== answer.status) return `Status.code ${value.code} under HTTP ${answer.status}`;
  if (typeof value.message !== 'string') return 'a Status without message';
  if (typeof value.reason !== 'string' && answer.status !== 406 && answer.status < 500)
    return 'a Status without reason';
  return undefined;
};

const frameFault = (event: { type?: unknown; object?: unknown }): string | undefined => {
  if (!['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'].includes(String(event.type)))
    return `event type ${event.type}`;
  return isObject(event.object as Json) ? undefined : 'an event without object';
};

const watchFault = ({ headers, body }: Answer): string | undefined => {
  const type = headers['content-type'] ?? '';
  if (type.startsWith('application/vnd.kubernetes.protobuf')) {
    for (const event of decodeWatchFrames(body).events) {
      const fault = frameFault(event);
      if (fault) return fault;
    }
  } else if (type.startsWith('application/json')) {
    const lines = body.toString().split('\n');
    lines.pop();
    for (const line of lines) {
      const fault = frameFault(JSON.parse(line) as { type?: unknown });
      if (fault) return fault;
    }
  }
  return undefined;
};

const warningsFault = ({ headers }: Answer): string | undefined =>
  headers.warning === undefined || /^299 - "(?:[^"\\]|\\.)*"(?:, ?299 - "(?:[^"\\]|\\.)*")*$/.test(headers.warning)
    ? undefined
    : `a malformed Warning header: ${headers.warning.slice(0, 200)}`;

const objectFault = (request: FuzzRequest, answer: Answer): string | undefined => {
  const value = valueOfAnswer(answer);
  if (answer.status >= 400) {
    // Paths outside the API are answered in plain text, as upstream does.
    if (value === undefined && (answer.headers['content-type'] ?? '').startsWith('text/plain'))
      return request.resource && !request.resource.custom
        ? `plain text: ${answer.body.toString().slice(0, 80)}`
        : undefined;
    return statusFault(answer, value);
  }
  if (value === undefined) return undefined;
  if (!isObject(value)) return 'the answer is no object';
  if (!request.resource) return undefined;
  if (typeof value.kind !== 'string' || typeof value.apiVersion !== 'string')
    return 'an object without kind or apiVersion';
  return undefined;
};

/** What is wrong with an answer; undefined when nothing is. */
export const faultOf = (request: FuzzRequest, answer: Answer): string | undefined => {
  const path = request.path;
  if (answer.closed && answer.status === 0) return undefined;
  if (request.upgrade && answer.status === 101) return undefined;
  if (answer.status < 200 || answer.status > 599) return `status ${answer.status}`;
  const excused = relayed.test(path) || /"Timeout: Too large resource version/.test(answer.body.toString());
  if (answer.status === 500 || (answer.status > 500 && !excused))
    return `status ${answer.status}: ${answer.body.toString().slice(0, 300)}`;
  const warnings = warningsFault(answer);
  if (warnings) return warnings;
  if (answer.body.length === 0 || request.method === 'HEAD') return undefined;
  if (noObjects.test(path) || (relayed.test(path) && answer.status < 400)) return undefined;
  try {
    return request.watchMs !== undefined && answer.status === 200 ? watchFault(answer) : objectFault(request, answer);
  } catch (error) {
    return `unreadable ${answer.headers['content-type']}: ${error instanceof Error ? error.message : error}`;
  }
};
