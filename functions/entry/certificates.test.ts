import { X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { certificateScope, scopeOfSerial } from '../apiserver/authn/certificate-scope.ts';
import { createCertificateAuthority } from './certificates.ts';
import { makeAuthority, requestServing } from './issue.ts';

it('names the cluster in the serial number, where whoever asks has no say', async () => {
  const { caCert, caKey } = await makeAuthority();
  const authority = createCertificateAuthority(caCert, caKey, (cluster) => `uid of ${cluster}`);
  const { request } = await requestServing('boss', [], []);
  const issue = { usages: ['client auth'], seconds: 600, now: Date.now() };
  const scopeOf = async (cluster?: string) => {
    const pem = await authority.sign(request, { ...issue, ...(cluster && { cluster }) });
    const certificate = new X509Certificate(pem);
    expect(certificate.verify(new X509Certificate(caCert).publicKey)).toBe(true);
    return scopeOfSerial(certificate.serialNumber);
  };
  for (let i = 0; i < 20; i++) {
    expect(await scopeOf('a')).toBe(certificateScope('a', 'uid of a'));
    expect(await scopeOf('default')).toBeUndefined();
    expect(await scopeOf()).toBeUndefined();
  }
  expect(certificateScope('a', 'another uid')).not.toBe(certificateScope('a', 'uid of a'));
  expect(certificateScope('b', 'uid of a')).not.toBe(certificateScope('a', 'uid of a'));
});
