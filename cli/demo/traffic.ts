import { request } from 'node:http';

/** What the front end answers. */
export interface Answer {
  status: number;
  version: string;
  replica: string;
  entries: string[];
  body: string;
}

/** One HTTP request on a connection of its own. Throws on a connection failure or after `timeoutMs`. */
export const call = (url: string, init: { method?: string; body?: string; timeoutMs?: number } = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const req = request(url, { method: init.method ?? 'GET', agent: false, timeout: init.timeoutMs ?? 5000 }, (res) => {
      let body = '';
      res.on('data', (chunk) => {
        body += chunk;
      });
      res.on('error', reject);
      res.on('end', () => {
        try {
          const parsed = JSON.parse(body) as Partial<Answer>;
          const { version = '', replica = '', entries = [] } = parsed;
          resolve({ status: res.statusCode ?? 0, version, replica, entries, body: body.trim() });
        } catch (error) {
          reject(error);
        }
      });
    });
    req.on('timeout', () => req.destroy(new Error(`no answer from ${url} in time`)));
    req.on('error', reject);
    req.end(init.body);
  });

export interface Traffic {
  /** Ends it and tells what happened. */
  stop(): Promise<{ requests: number; failures: string[]; versions: Map<string, number> }>;
}

/** Requests without a pause from a few workers, every answer other than 200 counted as a failure. */
export const startTraffic = (url: string, workers: number): Traffic => {
  let running = true;
  let requests = 0;
  const failures: string[] = [];
  const versions = new Map<string, number>();
  const work = async () => {
    while (running) {
      requests++;
      try {
        const answer = await call(url);
        if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`);
        versions.set(answer.version, (versions.get(answer.version) ?? 0) + 1);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const all = Promise.all(Array.from({ length: workers }, work));
  return {
    stop: async () => {
      running = false;
      await all;
      return { requests, failures, versions };
    },
  };
};
