// Events, whose two groups serve the same objects: what events.k8s.io/v1 asks for beyond core/v1. KEP-383.
import type { Event, EventsEvent } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { type Causes, checkSubdomain, immutable, invalidEach, required, same } from './checks.ts';
import { pathSegment, qualifiedName } from './names.ts';

type AnyEvent = Partial<Omit<Event, 'series'>> &
  Partial<Omit<EventsEvent, 'series'>> & {
    metadata: Event['metadata'];
    series?: { count?: number; lastObservedTime?: string | null } | null;
  };

const TEXT_MAX = 128;
const NOTE_MAX = 1024;

const isModern = (event: AnyEvent): boolean => event.apiVersion === 'events.k8s.io/v1';

/** What an event of either group has to hold. */
const checkAny = (event: AnyEvent): Causes => {
  const out: Causes = [];
  const namespace = event.metadata.namespace ?? '';
  const about = (event.involvedObject ?? event.regarding)?.namespace ?? '';
  const mismatch = cause.invalid('involvedObject.namespace', about, 'does not match event.namespace');
  if (!event.eventTime) {
    if (about === '' ? namespace !== '' && namespace !== 'default' : namespace !== about) out.push(mismatch);
    return out;
  }
  if (about === '' && namespace !== 'default' && namespace !== 'kube-system') out.push(mismatch);
  const controller = event.reportingController ?? event.reportingComponent;
  const field = isModern(event) ? 'reportingController' : 'reportingComponent';
  required(out, field, controller);
  invalidEach(out, field, controller, qualifiedName(controller ?? ''));
  for (const name of ['reportingInstance', 'action', 'reason'] as const) {
    required(out, name, event[name]);
    if ((event[name] ?? '').length > TEXT_MAX)
      out.push(cause.invalid(name, '', `can have at most ${TEXT_MAX} characters`));
  }
  if ((event.note ?? event.message ?? '').length > NOTE_MAX)
    out.push(cause.invalid('message', '', `can have at most ${NOTE_MAX} characters`));
  return out;
};

const checkSeries = (out: Causes, { series }: AnyEvent): void => {
  if (!series) return;
  if ((series.count ?? 0) < 2) out.push(cause.invalid('series.count', '', 'should be at least 2'));
  if (!series.lastObservedTime) out.push(cause.required('series.lastObservedTime'));
};

const checkNew = (event: AnyEvent): Causes => {
  const out = checkAny(event);
  if (!isModern(event)) return out;
  const name = event.metadata.name ?? '';
  if (pathSegment(name).length === 0) checkSubdomain(out, 'metadata.name', name);
  checkSeries(out, event);
  if (!event.eventTime) out.push(cause.required('eventTime'));
  if (event.type !== 'Normal' && event.type !== 'Warning')
    out.push(cause.invalid('type', '', `has invalid value: ${event.type ?? ''}`));
  const { deprecatedSource: source } = event;
  const given: [string, unknown][] = [
    ['firstTimestamp', event.deprecatedFirstTimestamp],
    ['lastTimestamp', event.deprecatedLastTimestamp],
    ['count', event.deprecatedCount],
    ['source', source?.component || source?.host],
  ];
  for (const [field, value] of given) if (value) out.push(cause.invalid(field, '', 'needs to be unset'));
  return out;
};

/** Fields that stay, under core/v1's names in causes; reason stands twice, as upstream checks it twice. */
const FIXED: readonly [string, keyof AnyEvent][] = [
  ['involvedObject', 'regarding'],
  ['reason', 'reason'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reason', 'reason'],
  ['type', 'type'],
  ['eventTime', 'eventTime'],
  ['action', 'action'],
  ['related', 'related'],
  ['reportingController', 'reportingController'],
  ['reportingInstance', 'reportingInstance'],
];

/** Events of both groups; each is checked in the version that it was sent in. */
export const event: Strategy = {
  createOnUpdate: true,
  validateName: pathSegment,
  validate: (object) => {
    const any = object as unknown as AnyEvent;
    return any.metadata.resourceVersion ? checkAny(any) : checkNew(any);
  },
  validateUpdate: (next, old) => {
    const out: Causes = [];
    const [after, before] = [next, old] as unknown as [AnyEvent, AnyEvent];
    if (!isModern(after)) return out;
    if (!same(after.series ?? null, before.series ?? null)) checkSeries(out, after);
    for (const [path, field] of FIXED) immutable(out, path, after[field], before[field]);
    return out;
  },
};
