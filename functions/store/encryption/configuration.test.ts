import { describe, expect, it } from 'vitest';
import { parseEncryptionConfiguration } from './configuration.ts';
import { durationMs } from './names.ts';

const secret = Buffer.alloc(32, 7).toString('base64');
const gcm = { aesgcm: { keys: [{ name: 'key1', secret }] } };
const identity = { identity: {} };
const kms = (more: object = {}) => ({
  kms: { apiVersion: 'v2', name: 'k', endpoint: 'awskms:///alias/skiff', timeout: '3s', ...more },
});
const document = (...resources: object[]) => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'EncryptionConfiguration',
  resources,
});
const rule = (resources: string[], ...providers: object[]) => ({ resources, providers });
const of = (...resources: string[]) => document(rule(resources, gcm));
const by = (...providers: object[]) => document(rule(['secrets'], ...providers));

describe('EncryptionConfiguration', () => {
  it.each([
    ['one provider', by(gcm)],
    ['identity, with or without a value', by(gcm, { identity: null })],
    ['every provider', by(gcm, { aescbc: gcm.aesgcm }, { secretbox: gcm.aesgcm }, kms(), identity)],
    ['wildcards', document(rule(['events'], identity), rule(['*.apps'], gcm), rule(['*.'], gcm), rule(['*.*'], gcm))],
    ['custom resources', of('secrets', 'pandas.awesome.bears.example')],
    ['a resource in two entries', document(rule(['secrets'], gcm), rule(['secrets'], identity))],
  ])('takes %s', (_, given) => {
    expect(parseEncryptionConfiguration(given).resources.length).toBeGreaterThan(0);
  });

  it.each([
    [document(), 'resources: Required value: at least one resources is required'],
    [of(), 'resources[0].resources: Required value: at least one resources[0].resources is required'],
    [by(), 'resources[0].providers: Required value: at least one resources[0].providers is required'],
    [by({}), 'resources[0].providers[0]: Invalid value: {}: provider does not contain any of the expected providers'],
    [by({ ...gcm, ...identity }), 'more than one provider specified in a single element'],
    [of('secrets', 'secrets'), 'the same resource cannot be specified multiple times'],
    [of('secrets', '*.'), "using overlapping resources such as 'secrets' and '*.'"],
    [of('*.*', 'deployments.apps'), 'is not allowed as they will be masked'],
    [of('Secrets'), 'resource name should not contain capital letters'],
    [of('*'), "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"],
    [of('serviceipallocations'), 'resources which do not have REST API/s cannot be encrypted'],
    [of('events.events.k8s.io'), "Use 'events' instead in the config file"],
    [of('deployments.extensions'), "'extensions' group has been removed"],
    [of('secrets.*'), 'encrypting the same resource across groups is not supported'],
    [
      document(rule(['*.'], gcm), rule(['secrets'], gcm)),
      'error while building transformers: resource "secrets" is masked by earlier rule "*."',
    ],
    [
      document(rule(['*.*'], gcm), rule(['*.apps'], gcm)),
      'error while building transformers: resource "*.apps" is masked by earlier rule "*.*"',
    ],
    [
      by({ aesgcm: { keys: [] } }),
      'resources[0].providers[0].aesgcm.keys: Required value: at least one keys is required',
    ],
    [
      by({ aesgcm: { keys: [{ secret }] } }),
      'aesgcm.keys[0].name: Required value: name is a mandatory field for a key',
    ],
    [
      by({ aesgcm: { keys: [{ name: 'a' }] } }),
      'keys[0].secret: Required value: secret is a mandatory field for a key',
    ],
    [by({ aescbc: { keys: [{ name: 'a', secret: '?' }] } }), '"REDACTED": secrets must be base64 encoded'],
    [
      by({ secretbox: { keys: [{ name: 'a', secret: 'AAAA' }] } }),
      '"REDACTED": secret is not of the expected length, got 3, expected one of [32]',
    ],
    [
      by({ aesgcm: { keys: [{ name: 'a', secret: 'AAAA' }] } }),
      '"REDACTED": secret is not of the expected length, got 3, expected one of [16 24 32]',
    ],
    [by(kms({ name: '' })), 'kms.name: Required value: name is a mandatory field for a provider'],
    [by(kms({ name: 'a:b' })), "invalid KMS provider name a:b, must not contain ':'"],
    [by(kms(), kms()), 'duplicate KMS provider name k, names must be unique'],
    [by(kms({ timeout: '-1s' })), 'timeout should be a positive value'],
    [by(kms({ endpoint: '' })), 'endpoint is a mandatory field for a kms'],
    [by(kms({ endpoint: 'https://x' })), 'unsupported scheme "https" for KMS provider'],
    [by(kms({ apiVersion: 'v3' })), 'unsupported apiVersion v3 for KMS provider'],
    [by(kms({ cachesize: 5 })), 'cachesize is not supported in v2'],
    [{ ...by(gcm), unknown: 1 }, 'unknown'],
    [by({ aesgcm: { keys: [{ name: 'a', secret, extra: 1 }] } }), 'resources.0.providers.0.aesgcm.keys.0'],
    [{ ...by(gcm), apiVersion: 'apiserver.config.k8s.io/v2' }, 'apiVersion'],
    ['text', 'document'],
  ])('refuses %j', (given, message) => {
    expect(() => parseEncryptionConfiguration(given)).toThrow(message);
  });

  it('names every fault, and no key', () => {
    const given = by({ ...gcm, ...identity }, { aesgcm: { keys: [{ name: '', secret: 'c2VjcmV0' }] } });
    const message = (() => {
      try {
        parseEncryptionConfiguration(given);
      } catch (error) {
        return String(error);
      }
      return '';
    })();
    expect(message).toContain('resources[0].providers[0]');
    expect(message).toContain('keys[0].name');
    expect(message).toContain('keys[0].secret');
    expect(message).not.toContain(secret);
    expect(message).not.toContain('c2VjcmV0');
  });
});

describe('durations', () => {
  it.each([
    ['3s', 3000],
    ['1m30s', 90_000],
    ['250ms', 250],
    ['1.5h', 5_400_000],
    ['', Number.NaN],
    ['3', Number.NaN],
    ['-3s', Number.NaN],
  ])('%j', (text, ms) => {
    expect(durationMs(text)).toBe(ms);
  });
});
