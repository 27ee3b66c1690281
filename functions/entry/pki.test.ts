import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { issueServing } from './issue.ts';
import { loadPki, type Pki } from './pki.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'skiff-pki-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('keeps what a directory has from start to start', async () => {
  const first = await loadPki(directory);
  expect(await loadPki(directory)).toEqual(first);
  expect(new X509Certificate(first.serverCert).checkIP('100.96.0.2')).toBe('100.96.0.2');
});

it('issues the certificate of a directory anew where it lacks a name that is served now', async () => {
  const first = await loadPki(directory);
  const older = await issueServing(first, ['localhost'], ['127.0.0.1']);
  const kept: Pki = { ...first, serverCert: older.cert, serverKey: older.key };
  writeFileSync(join(directory, 'pki.json'), JSON.stringify(kept));
  const next = await loadPki(directory);
  const certificate = new X509Certificate(next.serverCert);
  expect(certificate.checkIP('10.96.0.1')).toBe('10.96.0.1');
  expect(certificate.checkIP('::1')).toBeDefined();
  expect(certificate.verify(new X509Certificate(first.caCert).publicKey)).toBe(true);
  expect({ ...next, serverCert: '', serverKey: '' }).toEqual({ ...first, serverCert: '', serverKey: '' });
  expect(JSON.parse(readFileSync(join(directory, 'pki.json'), 'utf8')).serverCert).toBe(next.serverCert);
});
