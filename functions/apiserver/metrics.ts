import { domainOf, type Server } from './context.ts';
import type { RequestInfo } from './request-info.ts';

/**
 * GET /metrics in Prometheus' text format, under upstream's names where the meaning is the same. A request costs one map
 * look-up and a few additions. Source: Prometheus exposition format 0.0.4; the Kubernetes metrics reference.
 */

const BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60];

interface Series {
  labels: string;
  codes: Map<number, number>;
  /** Requests per bucket, not yet summed up; the last is above every bound. */
  buckets: number[];
  seconds: number;
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
}

export interface Metrics {
  /** Counts a request in flight until `ended`. */
  started(mutating: boolean): void;
  /** `ms` is the time to the answer's head: a watch's stream is not counted. */
  ended(request: Ended): void;
  /** The whole text, with the stored objects of one cluster. */
  render(server: Server, cluster: string): string;
}

const quoted = (value: string): string => value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

const scopeOf = (info: RequestInfo): string => {
  if (info.name !== '' && info.resource !== '') return 'resource';
  if (info.namespace !== '') return 'namespace';
  return info.isResource ? 'cluster' : '';
};

const verbOf = (info: RequestInfo): string => {
  if (info.verb === 'update') return 'PUT';
  if (info.verb === 'create') return 'POST';
  return info.verb.toUpperCase();
};

const labelsOf = (info: RequestInfo, dryRun: boolean): string =>
  [
    'component="apiserver"',
    `dry_run="${dryRun ? 'All' : ''}"`,
    `group="${quoted(info.group)}"`,
    `resource="${quoted(info.resource)}"`,
    `scope="${scopeOf(info)}"`,
    `subresource="${quoted(info.isResource ? info.subresource : info.path)}"`,
    `verb="${quoted(verbOf(info))}"`,
    `version="${quoted(info.version)}"`,
  ].join(',');

const head = (name: string, type: string, help: string): string => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
const gauge = (name: string, help: string, value: number, type = 'gauge'): string =>
  `${head(name, type, help)}${name} ${value}\n`;

const histogram = (series: Iterable<Series>): string => {
  const name = 'apiserver_request_duration_seconds';
  let out = head(name, 'histogram', 'Seconds from a request to the head of its answer.');
  for (const one of series) {
    let sum = 0;
    BUCKETS.forEach((bound, i) => {
      sum += one.buckets[i] ?? 0;
      out += `${name}_bucket{${one.labels},le="${bound}"} ${sum}\n`;
    });
    sum += one.buckets[BUCKETS.length] ?? 0;
    out += `${name}_bucket{${one.labels},le="+Inf"} ${sum}\n`;
    out += `${name}_sum{${one.labels}} ${one.seconds}\n${name}_count{${one.labels}} ${sum}\n`;
  }
  return out;
};

const processMetrics = (startedAt: number): string => {
  const cpu = process.cpuUsage();
  return (
    gauge('process_cpu_seconds_total', 'CPU seconds spent.', (cpu.user + cpu.system) / 1e6, 'counter') +
    gauge('process_resident_memory_bytes', 'Resident memory in bytes.', process.memoryUsage.rss()) +
    gauge('process_start_time_seconds', 'Start of the process, in seconds since the epoch.', startedAt / 1000)
  );
};

/** Objects per resource, of what this process holds in memory already. */
const storageObjects = (server: Server, cluster: string): string => {
  const counted = new Map<string, number>();
  for (const resource of server.registry.all(cluster)) {
    const domain = domainOf(cluster, resource);
    const replica = server.replicas.peek(domain);
    const name = domain.group ? `${domain.resource}.${domain.group}` : domain.resource;
    if (replica) counted.set(name, replica.size);
  }
  const lines = [...counted].map(([name, size]) => `apiserver_storage_objects{resource="${quoted(name)}"} ${size}\n`);
  return `${head('apiserver_storage_objects', 'gauge', 'Stored objects of resources held in memory.')}${lines.join('')}`;
};

/** Beyond so many series, further label sets are counted together: names in paths are the client's to choose. */
const SERIES_MAX = 5_000;

export const createMetrics = (startedAt: number): Metrics => {
  const all = new Map<string, Series>();
  const inflight = { mutating: 0, readOnly: 0 };
  const seriesOf = (info: RequestInfo, dryRun: boolean, known: boolean): Series => {
    const place = known ? `${info.group}/${info.version}/${info.resource}/${info.subresource}` : '';
    const key = `${info.verb} ${place} ${scopeOf(info)}${dryRun ? ' dry' : ''}${info.isResource || !known ? '' : info.path}`;
    const found = all.get(key);
    if (found) return found;
    if (known && all.size >= SERIES_MAX) return seriesOf(info, dryRun, false);
    const blank = { ...info, group: '', version: '', resource: '', subresource: '', path: '', isResource: false };
    const made: Series = {
      labels: labelsOf(known ? info : blank, dryRun),
      codes: new Map(),
      buckets: new Array<number>(BUCKETS.length + 1).fill(0),
      seconds: 0,
    };
    all.set(key, made);
    return made;
  };
  return {
    started: (mutating) => {
      inflight[mutating ? 'mutating' : 'readOnly']++;
    },
    ended: ({ info, known, mutating, dryRun, code, ms }) => {
      inflight[mutating ? 'mutating' : 'readOnly']--;
      if (!info) return;
      const series = seriesOf(info, dryRun, known);
      const seconds = ms / 1000;
      let i = 0;
      while (i < BUCKETS.length && seconds > (BUCKETS[i] ?? 0)) i++;
      series.buckets[i] = (series.buckets[i] ?? 0) + 1;
      series.seconds += seconds;
      series.codes.set(code, (series.codes.get(code) ?? 0) + 1);
    },
    render: (server, cluster) => {
      let out = head('apiserver_request_total', 'counter', 'Requests by what they asked for and the answer.');
      for (const { labels, codes } of all.values())
        for (const [code, count] of codes) out += `apiserver_request_total{code="${code}",${labels}} ${count}\n`;
      out += histogram(all.values());
      out += head('apiserver_current_inflight_requests', 'gauge', 'Requests being answered.');
      for (const [kind, count] of Object.entries(inflight))
        out += `apiserver_current_inflight_requests{request_kind="${kind}"} ${count}\n`;
      return out + storageObjects(server, cluster) + processMetrics(startedAt);
    },
  };
};
