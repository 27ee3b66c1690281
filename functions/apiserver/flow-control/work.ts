import type { Replicas } from '../../store/replica-port.ts';
import type { RequestInfo } from '../request-info.ts';
import { type ClusterFlow, widest } from './cluster-flow.ts';
import type { Level } from './level.ts';

/** What a request is taken to cost before it runs. */
export interface Work {
  initialSeats: number;
  finalSeats: number;
  /** Milliseconds for which the final seats are taken after the answer. */
  extraMs: number;
}

const OBJECTS_PER_SEAT = 100;
const WATCHES_PER_SEAT = 10;
/** A seat's worth of watchers is busy with a change for so long, in milliseconds. */
const EVENT_MS = 5;

const small: Work = { initialSeats: 1, finalSeats: 0, extraMs: 0 };

/** A watch begins with a list unless it goes on from a version. */
export const sendsInitialEvents = ({ query }: RequestInfo): boolean => {
  if (query.get('sendInitialEvents') === 'true') return true;
  const version = query.get('resourceVersion');
  return version === null || version === '' || version === '0';
};

/** One seat per 100 objects that are looked through: all of them where a selector is given, else up to the limit. */
const listed = (replicas: Replicas, info: RequestInfo, level: Level): Work => {
  if (info.name !== '') return small;
  const replica = replicas.peek({ cluster: info.cluster, group: info.group, resource: info.resource });
  if (!replica || replica.size <= OBJECTS_PER_SEAT) return small;
  const limit = Number(info.query.get('limit') ?? 0);
  const selects = info.query.has('labelSelector') || info.query.has('fieldSelector');
  const objects = limit > 0 && !selects ? Math.min(limit, replica.size) : replica.size;
  const initialSeats = Math.max(1, Math.min(widest(level), Math.ceil(objects / OBJECTS_PER_SEAT)));
  return { initialSeats, finalSeats: 0, extraMs: 0 };
};

/** Every ten watchers of the resource type take a seat for a moment after a write. */
const written = (flow: ClusterFlow, info: RequestInfo, level: Level): Work => {
  if (flow.watchers.size === 0 || info.subresource === 'token') return small;
  const watchers = flow.watchers.get(`${info.group}/${info.resource}`) ?? 0;
  if (watchers < WATCHES_PER_SEAT) return small;
  const seats = Math.ceil(watchers / WATCHES_PER_SEAT);
  const finalSeats = Math.min(widest(level), seats);
  return { initialSeats: 1, finalSeats, extraMs: (seats * EVENT_MS) / finalSeats };
};

/** Seats of a request: upstream's work estimator, with objects counted rather than their bytes. */
export const workOf = (replicas: Replicas, flow: ClusterFlow, info: RequestInfo, level: Level): Work => {
  switch (info.verb) {
    case 'list':
      return listed(replicas, info, level);
    case 'watch':
      return sendsInitialEvents(info) ? listed(replicas, info, level) : small;
    case 'create':
    case 'update':
    case 'patch':
    case 'delete':
      return written(flow, info, level);
    default:
      return small;
  }
};
