import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as request1 } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { plainResponse } from '../apiserver/plain-response.ts';
import { warningHeaders } from '../apiserver/warnings.ts';
import { loadPki, type Pki } from './pki.ts';
import { createListener, type Listener } from './server.ts';

const TEXT = 'größer als 5 — 多';
let directory = '';
let pki: Pki;
let listener: Listener;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'skiff-warnings-'));
  pki = await loadPki(directory);
  const headers = { 'content-type': 'text/plain', warning: warningHeaders([TEXT]) };
  listener = await createListener({
    app: { fetch: async () => plainResponse({ status: 200, headers, body: 'ü' }) },
    tls: { cert: pki.serverCert, key: pki.serverKey, clientCa: pki.caCert },
    host: '127.0.0.1',
    port: 0,
  });
});
afterAll(async () => {
  await listener?.close();
  rmSync(directory, { recursive: true, force: true });
});

const read = (header: unknown): string => Buffer.from(String(header), 'latin1').toString();

it('a warning that is not ASCII reaches clients of HTTP/1.1 in UTF-8', async () => {
  const header = await new Promise((resolve, reject) => {
    const sent = request1({ host: '127.0.0.1', port: listener.port, ca: pki.caCert, agent: false }, (response) => {
      response.resume();
      resolve(response.headers.warning);
    });
    sent.on('error', reject);
    sent.end();
  });
  expect(read(header)).toBe(`299 - "${TEXT}"`);
});

it('and those of HTTP/2', async () => {
  const session = connectHttp2(`https://127.0.0.1:${listener.port}`, { ca: pki.caCert });
  const header = await new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/' });
    stream.on('response', (headers) => resolve(headers.warning));
    stream.on('error', reject);
    stream.resume();
  });
  session.destroy();
  expect(read(header)).toBe(`299 - "${TEXT}"`);
});
