import type { Event, EventsEvent } from '../machinery/kinds.d.ts';
import type { KubeObject } from '../machinery/object.ts';
import { hpaToV1, hpaToV2 } from './conversions-hpa.ts';
import type { ResourceInfo } from './registry.ts';

type Conversion = NonNullable<ResourceInfo['convert']>;

/** events.k8s.io/v1 and core/v1 name the same things differently. */
const eventToCore = (object: KubeObject): KubeObject => {
  const {
    regarding,
    note,
    reportingController,
    deprecatedSource,
    deprecatedFirstTimestamp,
    deprecatedLastTimestamp,
    deprecatedCount,
    ...rest
  } = object as EventsEvent & KubeObject;
  return {
    ...rest,
    apiVersion: 'v1',
    involvedObject: regarding ?? {},
    ...(note !== undefined && { message: note }),
    source: deprecatedSource ?? {},
    firstTimestamp: deprecatedFirstTimestamp ?? null,
    lastTimestamp: deprecatedLastTimestamp ?? null,
    ...(deprecatedCount !== undefined && { count: deprecatedCount }),
    reportingComponent: reportingController ?? '',
    reportingInstance: rest.reportingInstance ?? '',
  } as unknown as KubeObject;
};

const eventFromCore = (object: KubeObject): KubeObject => {
  const {
    involvedObject,
    message,
    source,
    firstTimestamp,
    lastTimestamp,
    count,
    reportingComponent,
    reportingInstance,
    ...rest
  } = object as Event & KubeObject;
  return {
    ...rest,
    apiVersion: 'events.k8s.io/v1',
    ...(reportingComponent && { reportingController: reportingComponent }),
    ...(reportingInstance && { reportingInstance }),
    regarding: involvedObject ?? {},
    ...(message !== undefined && { note: message }),
    deprecatedSource: source ?? {},
    deprecatedFirstTimestamp: firstTimestamp ?? null,
    deprecatedLastTimestamp: lastTimestamp ?? null,
    ...(count !== undefined && { deprecatedCount: count }),
  } as unknown as KubeObject;
};

const CONVERSIONS: Record<string, Conversion> = {
  'events.k8s.io/v1/Event': { toStorage: eventToCore, fromStorage: eventFromCore },
  'autoscaling/v1/HorizontalPodAutoscaler': { toStorage: hpaToV2, fromStorage: hpaToV1 },
};

/** How a served version converts to and from the stored one; undefined where they are the same. */
export const conversionOf = (group: string, version: string, kind: string): Conversion | undefined =>
  CONVERSIONS[`${group}/${version}/${kind}`];
