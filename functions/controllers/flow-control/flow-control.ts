import { timestamp } from '../../clock/clock.ts';
import {
  AUTO_UPDATE,
  danglingCondition,
  priorityLevels as defaultLevels,
  flowSchemas as defaultSchemas,
  MANDATORY,
} from '../../machinery/flow-control-defaults.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../machinery/kinds.d.ts';
import type { GroupVersionResource, KubeObject } from '../../machinery/object.ts';
import type { Controller, Instant, Plan, PlannedWrite } from '../controller.ts';
import { expectsOf, targetOf } from '../owners.ts';
import { flowSchemas, priorityLevelConfigurations } from '../resources.ts';
import { sameJson, statusWrite } from '../status-patch.ts';

export interface FlowControlObserved {
  schemas: readonly FlowSchema[];
  levels: readonly PriorityLevelConfiguration[];
}

type Configuration = KubeObject & { spec?: Record<string, unknown> };

/** Go's strconv.ParseBool: undefined where it is an error. */
const bool = (text: string | undefined): boolean | undefined => {
  if (text === undefined) return undefined;
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  return ['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text) ? false : undefined;
};

/** Of the level `exempt` its shares are the operator's to choose. */
const specOf = ({ metadata, spec = {} }: Configuration): Record<string, unknown> =>
  metadata.name === 'exempt' && spec.exempt ? { ...spec, exempt: undefined } : spec;

/** What a default object becomes: as it is shipped where it may be updated, always with the annotation that says so. */
const revised = (current: Configuration, shipped: Configuration): Configuration | undefined => {
  const told = bool(current.metadata.annotations?.[AUTO_UPDATE]);
  // Nobody has changed the spec of a first generation.
  const updates = MANDATORY.has(current.metadata.name ?? '') || (told ?? current.metadata.generation === 1);
  const isSame = !updates || sameJson(specOf(current), specOf(shipped));
  if (isSame && told === updates) return undefined;
  const annotations = { ...current.metadata.annotations };
  if (told !== updates) annotations[AUTO_UPDATE] = `${updates}`;
  const spec = isSame ? current.spec : shipped.spec;
  return { ...current, metadata: { ...current.metadata, annotations }, ...(spec && { spec }) };
};

/** Writes that keep the default objects of one kind: missing ones are made, those of other versions go. */
const keepDefaults = (
  resource: GroupVersionResource,
  stored: readonly KubeObject[],
  defaults: readonly Configuration[],
): PlannedWrite[] => {
  const byName = new Map(stored.map((object) => [object.metadata.name, object as Configuration]));
  const shipped = new Set(defaults.map(({ metadata }) => metadata.name));
  const created: PlannedWrite[] = [];
  const updated: PlannedWrite[] = [];
  for (const object of defaults) {
    const current = byName.get(object.metadata.name);
    if (!current) created.push({ op: 'create', resource, object, onExists: 'ignore' });
    else if (!current.metadata.deletionTimestamp) {
      const next = revised(current, object);
      if (next) updated.push({ op: 'update', resource, object: next });
    }
  }
  const removed = stored
    .filter(({ metadata }) => !shipped.has(metadata.name) && bool(metadata.annotations?.[AUTO_UPDATE]) === true)
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .map((object): PlannedWrite => ({ op: 'delete', resource, target: targetOf(object), expects: expectsOf(object) }));
  return [...created, ...updated, ...removed];
};

/** The write that says in a schema's status whether its level exists; none where it says so. */
const tellDangling = (schema: FlowSchema, levels: ReadonlySet<string>, now: Instant): PlannedWrite[] => {
  const level = schema.spec?.priorityLevelConfiguration.name ?? '';
  const conditions = schema.status?.conditions ?? [];
  const wanted = danglingCondition(level, !levels.has(level), timestamp(now));
  const present = conditions.find(({ type }) => type === wanted.type);
  const { status, reason, message } = wanted;
  if (present && present.status === status && present.reason === reason && present.message === message) return [];
  const others = conditions.filter(({ type }) => type !== wanted.type);
  const expects = { ...expectsOf(schema), resourceVersion: schema.metadata.resourceVersion ?? '' };
  return statusWrite(schema, flowSchemas, { ...schema.status, conditions: [...others, wanted] }, expects);
};

const decide = ({ schemas, levels }: FlowControlObserved, now: Instant): Plan => {
  const shippedLevels = defaultLevels() as Configuration[];
  const kept = [
    ...keepDefaults(priorityLevelConfigurations, levels as readonly KubeObject[], shippedLevels),
    ...keepDefaults(flowSchemas, schemas as readonly KubeObject[], defaultSchemas() as Configuration[]),
  ];
  const names = new Set([...levels, ...shippedLevels].map(({ metadata }) => metadata.name ?? ''));
  // A schema that is rewritten comes back as a change: its status waits until then.
  const rewritten = new Set(kept.map((write) => (write.op === 'update' ? write.object.metadata.uid : undefined)));
  const told = schemas.filter(({ metadata }) => !rewritten.has(metadata.uid) && !metadata.deletionTimestamp);
  return { writes: [...kept, ...told.flatMap((schema) => tellDangling(schema, names, now))] };
};

/**
 * Keeps a cluster's flow control objects: the default ones as Kubernetes ships them, and in the status of every FlowSchema
 * whether its priority level exists. One key per cluster. Source: KEP-1040, "Default behavior" and "FlowSchema status".
 */
export const flowControlController: Controller<FlowControlObserved> = {
  name: 'flow-control',
  watches: [
    { resource: flowSchemas, keys: () => ['configuration'] },
    { resource: priorityLevelConfigurations, keys: () => ['configuration'] },
  ],
  async observe(read) {
    const [schemas, levels] = await Promise.all([
      read.list<FlowSchema>(flowSchemas),
      read.list<PriorityLevelConfiguration>(priorityLevelConfigurations),
    ]);
    return { schemas, levels };
  },
  decide,
};
