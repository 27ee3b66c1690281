import { timingSafeEqual } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { createGzip } from 'node:zlib';
import { plainResponse } from '../apiserver/plain-response.ts';
import type { Clock } from '../clock/clock.ts';
import type { Store } from '../store/store.ts';
import { readSnapshot, writeSealed } from './file.ts';
import { SnapshotRefused } from './format.ts';
import { restoreLines } from './restore.ts';
import { saveLines } from './save.ts';
import { newSnapshotKey } from './sealed.ts';

export interface SnapshotEndpointOptions {
  store: Store;
  clock: Clock;
  /** The operator's token: snapshots hold every secret of a cluster. */
  adminToken: string;
  /** Called before a cluster is restored: nobody may act on half of it. What it returns is told whether it is whole. */
  restoring(cluster: string): (whole: boolean) => Promise<void>;
  log(line: string): void;
}

const path = /^\/skiff\.dev\/snapshots\/([a-z0-9][-a-z0-9]{0,62})$/;

const answer = (status: number, body: Record<string, unknown>): Response =>
  plainResponse({ status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/**
 * Saves (GET) and restores (PUT) clusters of a running server at `/skiff.dev/snapshots/{cluster}`, for the operator alone;
 * undefined for any other path. Bodies are snapshot files.
 */
export const snapshotEndpoint = ({ store, clock, adminToken, restoring, log }: SnapshotEndpointOptions) => {
  const expected = Buffer.from(`Bearer ${adminToken}`);
  const allowed = (request: Request): boolean => {
    const given = Buffer.from(request.headers.get('authorization') ?? '');
    return given.length === expected.length && timingSafeEqual(given, expected);
  };
  const restore = async (request: Request, cluster: string): Promise<Response> => {
    const scratch = await mkdtemp(join(tmpdir(), 'skiff-restore-'));
    const release = restoring(cluster);
    let whole = false;
    try {
      const file = join(scratch, 'snapshot');
      if (!request.body) return answer(400, { message: 'the request has no body' });
      // What it holds lies on the disk for a moment: under a key that this request alone has.
      const key = newSnapshotKey();
      await writeSealed(file, Readable.fromWeb(request.body as NodeReadableStream), key);
      const told = await restoreLines(() => readSnapshot(file, key), { store, cluster });
      whole = true;
      return answer(200, { ...told });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof SnapshotRefused) return answer(422, { message });
      log(`restore of ${cluster}: ${error instanceof Error ? error.stack : message}`);
      return answer(500, { message });
    } finally {
      await rm(scratch, { recursive: true, force: true });
      await release(whole);
    }
  };
  return async (request: Request): Promise<Response | undefined> => {
    const cluster = path.exec(new URL(request.url).pathname)?.[1];
    if (cluster === undefined) return undefined;
    if (!allowed(request)) return answer(401, { message: 'snapshots are for the operator' });
    if (request.method === 'PUT') return restore(request, cluster);
    if (request.method !== 'GET') return answer(405, { message: 'GET saves, PUT restores' });
    if ((await store.domains(cluster)).length === 0) return answer(404, { message: `there is no cluster ${cluster}` });
    const body = Readable.from(saveLines({ store, clock, cluster })).pipe(createGzip());
    return plainResponse({ status: 200, headers: { 'content-type': 'application/gzip' }, body });
  };
};
