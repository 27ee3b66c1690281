import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { expect, it } from 'vitest';
import { subjectOf } from '../apiserver/admission/certificates/subject.ts';
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

it.each<[usages: string[], flags: number | undefined, extended: string[] | undefined]>([
  [['client auth'], undefined, ['1.3.6.1.5.5.7.3.2']],
  [['digital signature', 'key encipherment', 'client auth'], 5, ['1.3.6.1.5.5.7.3.2']],
  [['signing'], 1, undefined],
  [['crl sign', 's/mime', 'email protection', 'ipsec user'], 64, ['1.3.6.1.5.5.7.3.4', '1.3.6.1.5.5.7.3.7']],
])('says for what %j is asked, and leaves out what says nothing', async (usages, flags, extended) => {
  const { caCert, caKey } = await makeAuthority();
  const authority = createCertificateAuthority(caCert, caKey);
  const { request } = await requestServing('boss', [], []);
  const pem = await authority.sign(request, { usages, seconds: 600, now: Date.now() });
  const certificate = new x509.X509Certificate(pem);
  expect(certificate.getExtension(x509.KeyUsagesExtension)?.usages).toBe(flags);
  expect(certificate.getExtension(x509.ExtendedKeyUsageExtension)?.usages).toEqual(extended);
  // OpenSSL finds no issuer for a certificate whose extensions it cannot read.
  expect(new X509Certificate(pem).checkIssued(new X509Certificate(caCert))).toBe(true);
});

const NODES = [{ O: ['system:nodes'] }, { CN: ['system:node:x'] }];
/** The DER of UTF8String "system:masters" in the notation of RFC 4514, as a text. */
const HEX = '#0c0e73797374656d3a6d617374657273';
const HOLDER = { commonName: 'boss', organizations: ['system:masters'] };

it.each<[string, x509.JsonNameParams, { commonName: string; organizations: string[] }]>([
  ['one of each', NODES, { commonName: 'system:node:x', organizations: ['system:nodes'] }],
  ['a name said twice', [...NODES, { CN: ['boss'] }], { commonName: 'boss', organizations: ['system:nodes'] }],
  [
    'a name said twice at once',
    [{ CN: ['system:node:x', 'boss'] }, { O: ['a', 'b'] }],
    { commonName: 'boss', organizations: ['a', 'b'] },
  ],
  ['a text that looks encoded', [{ O: [{ utf8String: HEX }] }, { CN: ['boss'] }], { ...HOLDER, organizations: [HEX] }],
  ['a text that looks like a name', [{ CN: ['boss,O=a+O=b'] }], { commonName: 'boss,O=a+O=b', organizations: [] }],
  ['text of two bytes each', [{ O: [{ bmpString: 'system:masters' }] }, { CN: ['boss'] }], HOLDER],
  ['text of ASCII', [{ O: [{ ia5String: 'system:masters' }] }, { CN: ['boss'] }], HOLDER],
  ['a uid of its own', [{ CN: ['boss'] }, { '1.3.6.1.4.1.57683.2': ['u'] }], { ...HOLDER, organizations: [] }],
])('of a request with %s, whoever judges it sees who the certificate is for', async (_what, json, wanted) => {
  const { caCert, caKey } = await makeAuthority();
  const authority = createCertificateAuthority(caCert, caKey);
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const name = new x509.Name(json);
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
  const made = await x509.Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm });
  const pem = made.toString('pem');
  expect(await authority.parse(pem)).toMatchObject(wanted);
  expect(subjectOf(Buffer.from(pem).toString('base64'))).toEqual(wanted);
  const issued = new X509Certificate(
    await authority.sign(pem, { usages: ['client auth'], seconds: 600, now: Date.now() }),
  );
  const { CN, O = [], ...rest } = issued.toLegacyObject().subject as unknown as Record<string, string | string[]>;
  expect({ commonName: CN, organizations: [O].flat() }).toEqual(wanted);
  expect(rest).toEqual({});
});

it('looks at the same block of a text as those who judge it', async () => {
  const { caCert, caKey } = await makeAuthority();
  const { request } = await requestServing('boss', [], []);
  const other = `-----BEGIN OTHER-----\n${request.split('\n').slice(1, -1).join('\n')}\n-----END OTHER-----\n`;
  const authority = createCertificateAuthority(caCert, caKey);
  await expect(authority.parse(`${other}${request}`)).rejects.toThrow('PEM block type must be CERTIFICATE REQUEST');
  expect(() => subjectOf(Buffer.from(`${other}${request}`).toString('base64'))).toThrow(RangeError);
});
