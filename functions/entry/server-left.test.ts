import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { plainResponse } from '../apiserver/plain-response.ts';
import { loadPki } from './pki.ts';
import { createListener } from './server.ts';

it('lets go of what would be passed on to a client that has left meanwhile', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-left-'));
  const pki = await loadPki(directory);
  const passed = new Readable({ read: () => undefined });
  let cancelled = false;
  const cancel = () => {
    cancelled = true;
  };
  const bodies = [passed, new ReadableStream({ cancel })];
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  let begun = 0;
  const listener = await createListener({
    app: {
      fetch: async () => {
        const body = bodies[begun++];
        if (begun === bodies.length) asked.resolve();
        await answer.promise;
        return body instanceof Readable ? plainResponse({ status: 200, headers: {}, body }) : new Response(body);
      },
    },
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: '127.0.0.1',
    port: 0,
  });
  try {
    const session = connect(`https://127.0.0.1:${listener.port}`, { ca: pki.caCert }).on('error', () => undefined);
    for (const _ of bodies) session.request({ ':path': '/' }).on('error', () => undefined);
    await asked.promise;
    session.destroy();
    await delay(50);
    answer.resolve();
    await expect.poll(() => passed.destroyed && cancelled).toBe(true);
  } finally {
    await listener.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
