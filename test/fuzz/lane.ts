import type { JsonObject } from '../../functions/machinery/object.ts';
import { faultOf, valueOfAnswer } from './answers.ts';
import type { Findings } from './findings.ts';
import type { Place } from './place.ts';
import { createRandom } from './random.ts';
import { createReader, ownPath, readBack } from './read-back.ts';
import { type FuzzRequest, makeRequest } from './requests.ts';
import { type Answer, DEADLINE_MS, inProcess, overHttp1, overHttp2, type Transport, within } from './transports.ts';
import { createMemory, keep, keepObject, type World } from './world.ts';

const ways = ['in process', 'over HTTP/2', 'over HTTP/1.1'];

export interface LaneOptions {
  place: Place;
  world: World;
  findings: Findings;
  seed: number;
  lane: number;
  /** Counts the answers of each status. */
  statuses: Map<number, number>;
  verbose: boolean;
}

/** Sends requests one after the other and checks what comes back. */
export interface Lane {
  run(index: number): Promise<void>;
  close(): void;
}

export const shown = ({ method, path, headers, body }: FuzzRequest): string => {
  const { authorization: _, ...rest } = headers;
  const text = body === undefined ? '' : ` ${body.length} bytes ${JSON.stringify(body.toString().slice(0, 700))}`;
  return `${method} ${path.slice(0, 500)} ${JSON.stringify(rest).slice(0, 400)}${text}`;
};

const writesObject = ({ method, resource, subresource, path }: FuzzRequest): boolean =>
  resource !== undefined &&
  ['POST', 'PUT', 'PATCH'].includes(method) &&
  (!subresource || subresource === 'status') &&
  !/dryRun=All/.test(path);

export const createLane = ({ place, world, findings, seed, lane, statuses, verbose }: LaneOptions): Lane => {
  const direct = inProcess(place);
  const transports: Transport[] = [direct, overHttp2(place), overHttp1(place)];
  const reader = createReader(direct, place.token);
  const memory = createMemory();

  const remember = (request: FuzzRequest, answer: Answer): JsonObject | undefined => {
    if (answer.status >= 300 || answer.body.length > 100_000 || request.watchMs !== undefined || !request.resource)
      return undefined;
    const value = valueOfAnswer(answer) as JsonObject | undefined;
    const metadata = value?.metadata as JsonObject | undefined;
    if (typeof metadata?.resourceVersion === 'string') keep(memory.versions, metadata.resourceVersion);
    if (typeof metadata?.continue === 'string' && metadata.continue) keep(memory.tokens, metadata.continue);
    return value;
  };

  const checkWritten = async (request: FuzzRequest, value: JsonObject, index: number): Promise<void> => {
    const path = ownPath(request, value);
    if (path === undefined) return;
    const random = createRandom(seed ^ 0x5bd1e995, index);
    keepObject(memory, path, value);
    const wrong = random.chance(0.5)
      ? await readBack(reader, path, value, request.resource?.custom ?? false, random.chance(0.3))
      : undefined;
    if (wrong) findings.add(`${request.resource?.kind}: ${wrong}`, index, shown(request));
    const metadata = value.metadata as JsonObject;
    const crowds =
      metadata.generateName !== undefined ||
      ['LimitRange', 'ResourceQuota', 'Namespace'].includes(request.resource?.kind ?? '');
    if (!crowds && random.chance(0.75)) return;
    if (metadata.finalizers !== undefined)
      await reader.send('PATCH', path, { body: '[{"op":"remove","path":"/metadata/finalizers"}]' });
    await reader.send('DELETE', `${path}?gracePeriodSeconds=0`);
  };

  const run = async (index: number): Promise<void> => {
    const random = createRandom(seed, index);
    const request = makeRequest({ random, world, memory, lane, index, token: place.token });
    const way = request.upgrade ? 2 : random.pick([0, 0, 0, 0, 0, 0, 1, 1, 2]);
    const transport = transports[way] ?? direct;
    if (verbose) console.log(`${index} ${ways[way]}: ${shown(request)}`);
    const answer = await within(transport.send(request));
    for (const { error } of place.faults()) {
      const stack = error instanceof Error ? (error.stack ?? '') : String(error);
      const frames = stack.split('\n').filter((line) => line.includes('/functions/'));
      findings.add(
        `fault: ${String(error).slice(0, 100)} ${(frames[0] ?? '').trim().split('/').at(-1)}`,
        index,
        `${shown(request)}\n${stack.slice(0, 1200)}`,
      );
    }
    if (!answer) {
      findings.add(`no answer in ${DEADLINE_MS} ms ${ways[way]}`, index, shown(request));
      return;
    }
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    if (verbose) console.log(`  ${answer.status} ${answer.body.toString().slice(0, 500)}`);
    const wrong = faultOf(request, answer);
    if (wrong) findings.add(wrong, index, shown(request));
    else {
      const value = remember(request, answer);
      if (value && writesObject(request)) await checkWritten(request, value, index);
    }
  };
  return {
    run: (index) => run(index).catch((error: Error) => findings.add(error.message, index, error.stack ?? '')),
    close: () => {
      for (const transport of transports) transport.close();
    },
  };
};
