import { readdirSync, readFileSync } from 'node:fs';
import { domainOf, type Server } from './context.ts';
import { VERSION } from './documents.ts';
import { plainParts, type Sink, type StreamedBody } from './plain-response.ts';
import type { RequestInfo } from './request-info.ts';

/**
 * GET /metrics in Prometheus' text format, under upstream's names where the meaning is the same. A request costs one map
 * look-up and a few additions. Source: Prometheus exposition format 0.0.4; the Kubernetes metrics reference.
 */

const BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

const SIZES = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

interface Series {
  labels: string;
  /** The labels without `dry_run`, which sizes and gauges do not have. */
  common: string;
  codes: Map<number, number>;
  /** Requests per bucket, not yet summed up; the last is above every bound. */
  buckets: number[];
  seconds: number;
  /** Answers per size, not yet summed up, and their bytes; only of answers to GET. */
  sizes: number[];
  bytes: number;
  /** Requests that last: watches, followed logs, streams, proxies. */
  lasting: number;
  /** Watch events sent, and their bytes. */
  events: number;
  eventBytes: number;
}

export interface Ended {
  /** Absent where the request could not be parsed. */
  info: RequestInfo | undefined;
  /** Whether its path is one that is served: other paths are counted together. */
  known: boolean;
  mutating: boolean;
  dryRun: boolean;
  code: number;
  ms: number;
  /** A PATCH by which a configuration was applied. */
  applied?: boolean;
  /** Absent where the request failed before there was one. */
  response?: Response;
}

export interface Metrics {
  /** Counts a request in flight until `ended`. */
  started(mutating: boolean): void;
  /** `ms` is the time to the answer's head: a watch's stream is not counted. */
  ended(request: Ended): void;
  /** Counts a connection that left HTTP as a lasting request, until the returned function is called. */
  streaming(info: RequestInfo): () => void;
  /** The whole text, with the stored objects of one cluster. */
  render(server: Server, cluster: string): string;
}

const quoted = (value: string): string => value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

const scopeOf = (info: RequestInfo): string => {
  if (info.resource !== '' && (info.name !== '' || info.verb === 'create')) return 'resource';
  if (info.namespace !== '') return 'namespace';
  return info.isResource ? 'cluster' : '';
};

const METHODS: Record<string, string> = { update: 'PUT', create: 'POST', deletecollection: 'DELETE', other: 'other' };
/** Whatever else a client calls its method is counted as one, as upstream has it. */
const VERBS: ReadonlySet<string> = new Set(
  'get list watch create update patch delete deletecollection post put head options connect'.split(' '),
);
/** How long connections are counted: as upstream, by the verb that made them. */
const CONNECTS = new Set(['proxy', 'exec', 'attach', 'portforward']);
const verbOf = (info: RequestInfo, applied: boolean): string => {
  if (applied) return 'APPLY';
  if (CONNECTS.has(info.subresource)) return 'CONNECT';
  return METHODS[info.verb] ?? info.verb.toUpperCase();
};

const commonLabels = (info: RequestInfo, applied: boolean): string =>
  [
    `component="${info.isResource ? 'apiserver' : ''}"`,
    `group="${quoted(info.group)}"`,
    `resource="${quoted(info.resource)}"`,
    `scope="${scopeOf(info)}"`,
    `subresource="${quoted(info.isResource ? info.subresource : info.path.slice(1))}"`,
    `verb="${quoted(verbOf(info, applied))}"`,
    `version="${quoted(info.version)}"`,
  ].join(',');

const head = (name: string, type: string, help: string): string => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
const gauge = (name: string, help: string, value: number, type = 'gauge'): string =>
  `${head(name, type, help)}${name} ${value}\n`;

/** One histogram of all series; `of` gives a series' labels, counts per bucket and sum. */
const histogram = (
  name: string,
  help: string,
  bounds: readonly number[],
  all: Iterable<Series>,
  of: (one: Series) => { labels: string; counts: readonly number[]; total: number },
): string => {
  let out = head(name, 'histogram', help);
  for (const one of all) {
    const { labels, counts, total } = of(one);
    let sum = 0;
    bounds.forEach((bound, i) => {
      sum += counts[i] ?? 0;
      out += `${name}_bucket{${labels},le="${bound}"} ${sum}\n`;
    });
    sum += counts[bounds.length] ?? 0;
    if (sum === 0) continue;
    out += `${name}_bucket{${labels},le="+Inf"} ${sum}\n`;
    out += `${name}_sum{${labels}} ${total}\n${name}_count{${labels}} ${sum}\n`;
  }
  return out;
};

/** `name{labels} value` for every series that has one. */
const perSeries = (name: string, type: string, help: string, all: Iterable<Series>, of: (one: Series) => number) => {
  let out = head(name, type, help);
  for (const one of all) if (one.events > 0 || one.lasting > 0) out += `${name}{${one.common}} ${of(one)}\n`;
  return out;
};

const add = (counts: number[], bounds: readonly number[], value: number): void => {
  let i = 0;
  while (i < bounds.length && value > (bounds[i] ?? 0)) i++;
  counts[i] = (counts[i] ?? 0) + 1;
};

/** Counts a watch while it is read, and what is sent over it. */
const countedStream =
  (series: Series, run: StreamedBody): StreamedBody =>
  (sink, signal) => {
    series.lasting++;
    let open = true;
    const close = () => {
      if (open) series.lasting--;
      open = false;
    };
    signal.addEventListener('abort', close, { once: true });
    const counted: Sink = {
      send: (bytes) => {
        series.events++;
        series.eventBytes += bytes.byteLength;
        sink.send(bytes);
      },
      get unread() {
        return sink.unread;
      },
      end: () => {
        close();
        sink.end();
      },
    };
    run(counted, signal);
  };

const openFiles = (): number => {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
};
const PAGE_BYTES = 4096;
const virtualBytes = (): number => {
  try {
    return Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]) * PAGE_BYTES;
  } catch {
    return 0;
  }
};

const processMetrics = (startedAt: number): string => {
  const cpu = process.cpuUsage();
  return (
    gauge('process_cpu_seconds_total', 'CPU seconds spent.', (cpu.user + cpu.system) / 1e6, 'counter') +
    gauge('process_open_fds', 'Open file descriptors.', openFiles()) +
    gauge('process_virtual_memory_bytes', 'Virtual memory in bytes.', virtualBytes()) +
    gauge('process_resident_memory_bytes', 'Resident memory in bytes.', process.memoryUsage.rss()) +
    gauge('process_start_time_seconds', 'Start of the process, in seconds since the epoch.', startedAt / 1000)
  );
};

/** Objects per resource, of what this process holds in memory already. */
const storageObjects = (server: Server, cluster: string): string => {
  let byName = head('apiserver_storage_objects', 'gauge', 'Stored objects of resources held in memory.');
  let byGroup = head('apiserver_resource_objects', 'gauge', 'Stored objects of resources held in memory.');
  const seen = new Set<string>();
  for (const resource of server.registry.all(cluster)) {
    const domain = domainOf(cluster, resource);
    const replica = server.replicas.peek(domain);
    const name = domain.group ? `${domain.resource}.${domain.group}` : domain.resource;
    if (!replica || seen.has(name)) continue;
    seen.add(name);
    byName += `apiserver_storage_objects{resource="${quoted(name)}"} ${replica.size}\n`;
    byGroup += `apiserver_resource_objects{group="${quoted(domain.group)}",resource="${quoted(domain.resource)}"} ${replica.size}\n`;
  }
  return byName + byGroup;
};

/** Beyond so many series, further label sets are counted together: names in paths are the client's to choose. */
const SERIES_MAX = 5_000;

const blankSeries = (info: RequestInfo, dryRun: boolean, applied: boolean): Series => {
  const common = commonLabels(info, applied);
  return {
    labels: `dry_run="${dryRun ? 'All' : ''}",${common}`,
    common,
    codes: new Map(),
    buckets: new Array<number>(BUCKETS.length + 1).fill(0),
    seconds: 0,
    sizes: new Array<number>(SIZES.length + 1).fill(0),
    bytes: 0,
    lasting: 0,
    events: 0,
    eventBytes: 0,
  };
};

export const createMetrics = (startedAt: number): Metrics => {
  const all = new Map<string, Series>();
  const inflight = { mutating: 0, readOnly: 0 };
  const seriesOf = (asked: RequestInfo, dryRun: boolean, known: boolean, applied: boolean): Series => {
    const info = VERBS.has(asked.verb) ? asked : { ...asked, verb: 'other' };
    const place = known ? `${info.group}/${info.version}/${info.resource}/${info.subresource}` : '';
    const how = `${dryRun ? ' dry' : ''}${applied ? ' apply' : ''}`;
    const key = `${info.verb} ${place} ${scopeOf(info)}${how}${info.isResource || !known ? '' : info.path}`;
    const found = all.get(key);
    if (found) return found;
    if (known && all.size >= SERIES_MAX) return seriesOf(info, dryRun, false, applied);
    const blank = { ...info, group: '', version: '', resource: '', subresource: '', path: '', isResource: false };
    const made = blankSeries(known ? info : blank, dryRun, applied);
    all.set(key, made);
    return made;
  };
  const measure = (series: Series, info: RequestInfo, response: Response): void => {
    const parts = plainParts(response);
    if (!parts) return;
    const { body } = parts;
    if (typeof body === 'function') parts.body = countedStream(series, body);
    else if (info.method === 'GET' && (typeof body === 'string' || body instanceof Uint8Array)) {
      const size = typeof body === 'string' ? body.length : body.byteLength;
      add(series.sizes, SIZES, size);
      series.bytes += size;
    }
  };
  return {
    started: (mutating) => {
      inflight[mutating ? 'mutating' : 'readOnly']++;
    },
    ended: ({ info, known, mutating, dryRun, code, ms, applied = false, response }) => {
      inflight[mutating ? 'mutating' : 'readOnly']--;
      if (!info) return;
      const series = seriesOf(info, dryRun, known, applied);
      const seconds = ms / 1000;
      add(series.buckets, BUCKETS, seconds);
      series.seconds += seconds;
      series.codes.set(code, (series.codes.get(code) ?? 0) + 1);
      if (response) measure(series, info, response);
    },
    streaming: (info) => {
      const series = seriesOf(info, false, true, false);
      series.lasting++;
      return () => {
        series.lasting--;
      };
    },
    render: (server, cluster) => {
      let out = head('apiserver_request_total', 'counter', 'Requests by what they asked for and the answer.');
      for (const { labels, codes } of all.values())
        for (const [code, count] of codes) out += `apiserver_request_total{code="${code}",${labels}} ${count}\n`;
      out += histogram(
        'apiserver_request_duration_seconds',
        'Seconds from a request to the head of its answer.',
        BUCKETS,
        all.values(),
        (one) => ({ labels: one.labels, counts: one.buckets, total: one.seconds }),
      );
      out += histogram(
        'apiserver_response_sizes',
        'Bytes of answers to GET.',
        SIZES,
        [...all.values()].filter((one) => one.sizes.some((count) => count > 0)),
        (one) => ({ labels: one.common, counts: one.sizes, total: one.bytes }),
      );
      out += head('apiserver_current_inflight_requests', 'gauge', 'Requests being answered.');
      for (const [kind, count] of Object.entries(inflight))
        out += `apiserver_current_inflight_requests{request_kind="${kind}"} ${count}\n`;
      const lasting = 'Watches, streams and proxied connections that are open.';
      out += perSeries('apiserver_longrunning_requests', 'gauge', lasting, all.values(), (one) => one.lasting);
      out += perSeries(
        'apiserver_watch_events_total',
        'counter',
        'Watch events sent.',
        all.values(),
        (one) => one.events,
      );
      const sizes = 'Bytes of watch events sent.';
      out += perSeries('apiserver_watch_events_bytes_total', 'counter', sizes, all.values(), (one) => one.eventBytes);
      out += head('kubernetes_build_info', 'gauge', 'The version that is served.');
      out += `kubernetes_build_info{git_version="${VERSION}",major="1",minor="36",platform="${process.platform}/${process.arch}"} 1\n`;
      out += storageObjects(server, cluster) + (server.flow?.metrics(cluster) ?? '');
      return out + (server.moreMetrics?.() ?? '') + processMetrics(startedAt);
    },
  };
};
