import { timingSafeEqual } from 'node:crypto';
import { plainResponse } from '../apiserver/plain-response.ts';
import type { KeyKind, KeyOperations } from './key-operations.ts';

const PATH = '/skiff.dev/keys';
const BODY_BYTES_MAX = 4096;

const answer = (status: number, body: object): Response =>
  plainResponse({ status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

const isKind = (what: unknown): what is KeyKind => what === 'encryption' || what === 'signing';

/** What a request asks for; undefined where it makes no sense. */
const orderOf = (text: string): { action: string; what: KeyKind; name: string } | undefined => {
  try {
    const { action, what, name } = JSON.parse(text) as Record<string, unknown>;
    if (!isKind(what) || (action !== 'rotate' && action !== 'remove')) return undefined;
    if (action === 'remove' && typeof name !== 'string') return undefined;
    return { action, what, name: String(name ?? '') };
  } catch {
    return undefined;
  }
};

/**
 * Tells of the keys of a running server (GET) and changes them (POST) at `/skiff.dev/keys`, for the operator alone; undefined
 * for any other path. No key leaves the server.
 */
export const keysEndpoint = (operations: KeyOperations, adminToken: string) => {
  const expected = Buffer.from(`Bearer ${adminToken}`);
  return async (request: Request): Promise<Response | undefined> => {
    if (new URL(request.url).pathname !== PATH) return undefined;
    const given = Buffer.from(request.headers.get('authorization') ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      return answer(401, { message: 'keys are for the operator' });
    if (request.method === 'GET') return answer(200, await operations.status());
    if (request.method !== 'POST') return answer(405, { message: 'GET tells, POST changes' });
    const text = await request.text();
    const order = text.length > BODY_BYTES_MAX ? undefined : orderOf(text);
    if (!order) return answer(400, { message: 'the body says what to rotate or remove' });
    const { action, what, name } = order;
    const done = action === 'rotate' ? await operations.rotate(what) : await operations.remove(what, name);
    return 'refused' in done ? answer(409, { message: done.refused }) : answer(200, done);
  };
};
