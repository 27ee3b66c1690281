import type { ResourceInfo } from '../../functions/apiserver/registry.ts';
import type { Json, JsonObject } from '../../functions/machinery/object.ts';
import { type Recorded, recordedBodies } from './corpus.ts';
import { customExamples } from './custom.ts';

/** What a lane has seen in answers, to put into later requests; the newest few only. */
export interface Memory {
  versions: string[];
  tokens: string[];
  /** By the object's own path. */
  objects: Map<string, JsonObject>;
}

/** What requests are made from. */
export interface World {
  resources: readonly ResourceInfo[];
  /** Recorded bodies by `group/plural`. */
  recorded: ReadonlyMap<string, readonly Recorded[]>;
}

const MEMORY = 40;

export const createMemory = (): Memory => ({ versions: ['1', '100'], tokens: [], objects: new Map() });

export const keep = (list: string[], value: string): void => {
  if (list.push(value) > MEMORY) list.shift();
};

export const keepObject = (memory: Memory, path: string, object: JsonObject): void => {
  memory.objects.delete(path);
  memory.objects.set(path, object);
  const oldest = memory.objects.keys().next().value;
  if (memory.objects.size > MEMORY && oldest !== undefined) memory.objects.delete(oldest);
};

export const resourceId = (resource: ResourceInfo): string => `${resource.group}/${resource.resource}`;

export const createWorld = (resources: readonly ResourceInfo[]): World => {
  const recorded = new Map<string, Recorded[]>();
  const add = (one: Recorded): void => {
    const list = recorded.get(one.resource);
    if (list) list.push(one);
    else recorded.set(one.resource, [one]);
  };
  for (const one of recordedBodies()) add(one);
  for (const [resource, body] of Object.entries(customExamples) as [string, Json][])
    add({ method: 'POST', resource, subresource: '', contentType: 'application/json', body, accepted: true });
  return { resources, recorded };
};
