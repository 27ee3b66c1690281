import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '../../functions/machinery/object.ts';

/** A body of the recorded cases and where it went. */
export interface Recorded {
  method: string;
  /** `group/plural`. */
  resource: string;
  subresource: string;
  contentType: string;
  body: Json;
  /** Whether the real server took it. */
  accepted: boolean;
}

interface Step {
  method: string;
  path: string;
  contentType?: string;
  body?: Json;
  expect?: { status?: number };
}

const folder = join(import.meta.dirname, '../behaviour/api');

/** `group/plural` and subresource of an API path; undefined for others. */
export const resourceOfPath = (path: string): { resource: string; subresource: string } | undefined => {
  const m =
    /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)\/(?:namespaces\/[^/]+\/(?!status|finalize))?([^/]+)(?:\/[^/]+(?:\/([^/]+))?)?$/.exec(
      path,
    );
  return m?.[2] === undefined ? undefined : { resource: `${m[1] ?? ''}/${m[2]}`, subresource: m[3] ?? '' };
};

const filled = (body: Json): Json =>
  JSON.parse(
    JSON.stringify(body)
      .replaceAll('$NS', 'fuzz-0')
      .replaceAll('$ID', 'n0')
      .replace(/\$REPEAT\((.),(\d+)\)/g, (_, text: string, n: string) => text.repeat(Number(n)))
      .replace(/\$\{[^}]*\}/g, '1'),
  ) as Json;

/** Every body of the recorded requests: what users and tests of Kubernetes really send. */
export const recordedBodies = (): Recorded[] => {
  const all: Recorded[] = [];
  for (const file of readdirSync(folder).sort()) {
    for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
      if (line === '') continue;
      for (const step of (JSON.parse(line) as { steps: Step[] }).steps) {
        const of = resourceOfPath(step.path.replaceAll('$NS', 'fuzz-0'));
        if (!of || step.body === undefined || typeof step.body === 'string') continue;
        const contentType = step.contentType ?? 'application/json';
        const accepted = (step.expect?.status ?? 0) < 300;
        all.push({ method: step.method, ...of, contentType, body: filled(step.body), accepted });
      }
    }
  }
  return all;
};
