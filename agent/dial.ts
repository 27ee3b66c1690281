import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { connect } from 'node:net';
import type { HTTPGetAction, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';

export interface DialResult {
  ok: boolean;
  message: string;
}
export interface HttpTarget {
  url: string;
  headers: Record<string, string>;
}

/** A port by number or by the name it has in the container; throws when no port has that name. */
export const portNumber = (port: number | string, container: SpecContainer): number => {
  if (typeof port === 'number') return port;
  const named = container.ports?.find((p) => p.name === port)?.containerPort ?? Number(port);
  if (!Number.isInteger(named)) throw new Error(`couldn't find port: "${port}" in container ${container.name}`);
  return named;
};

export const httpTarget = (get: HTTPGetAction, container: SpecContainer, podIp: string): HttpTarget => {
  const host = get.host || podIp;
  const path = get.path ?? '/';
  const scheme = (get.scheme ?? 'HTTP').toLowerCase();
  const address = host.includes(':') ? `[${host}]` : host;
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.36', accept: '*/*', connection: 'close' };
  for (const header of get.httpHeaders ?? []) headers[header.name.toLowerCase()] = header.value;
  return {
    url: `${scheme}://${address}:${portNumber(get.port, container)}${path.startsWith('/') ? path : `/${path}`}`,
    headers,
  };
};

/** One GET; 200 to 399 is well. Redirects to the same host are followed (10 at most), others count as well, as kubelet's. */
export const probeHttp = (target: HttpTarget, timeoutMs: number, redirects = 10): Promise<DialResult> =>
  new Promise((resolve) => {
    const url = new URL(target.url);
    const options = { headers: target.headers, agent: false as const, timeout: timeoutMs };
    const req =
      url.protocol === 'https:'
        ? requestHttps(url, { ...options, rejectUnauthorized: false })
        : requestHttp(url, options);
    const timer = setTimeout(() => req.destroy(new Error('context deadline exceeded')), timeoutMs);
    const settle = (result: DialResult) => {
      clearTimeout(timer);
      req.destroy();
      resolve(result);
    };
    req.on('response', (res) => {
      const code = res.statusCode ?? 0;
      const location = res.headers.location;
      if (code >= 301 && code <= 308 && location && redirects > 0) {
        const next = new URL(location, url);
        if (next.hostname === url.hostname) {
          clearTimeout(timer);
          res.resume();
          resolve(probeHttp({ ...target, url: next.href }, timeoutMs, redirects - 1));
          return;
        }
      }
      if (code >= 200 && code < 400) settle({ ok: true, message: '' });
      else settle({ ok: false, message: `HTTP probe failed with statuscode: ${code}` });
    });
    req.on('error', (error) => settle({ ok: false, message: `Get "${target.url}": ${error.message}` }));
    req.end();
  });

/** A connection that opens is well. */
export const probeTcp = (host: string, port: number, timeoutMs: number): Promise<DialResult> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (result: DialResult) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => settle({ ok: false, message: `dial tcp ${host}:${port}: i/o timeout` }), timeoutMs);
    socket.on('connect', () => settle({ ok: true, message: '' }));
    socket.on('error', (error) => settle({ ok: false, message: `dial tcp ${host}:${port}: ${error.message}` }));
  });
