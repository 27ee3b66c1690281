import { describe, expect, it } from 'vitest';
import { checkHost, lookupFor } from './addresses.ts';

const looked = (cluster: string, host: string): Promise<string> =>
  new Promise((resolve) => {
    lookupFor(cluster)(host, { family: 4 }, (error, address) => resolve(error ? 'refused' : String(address)));
  });

describe('addresses that a tenant may name', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.20.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '0.0.0.0',
    '100.96.0.10',
    '[::1]',
    'fe80::1',
    'fd00::1',
    '::ffff:127.0.0.1',
    '0:0:0:0:0:0:0:1',
    '::127.0.0.1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::169.254.169.254',
    '[64:ff9b::a00:1]',
    '2002:7f00:1::1',
    'ff02::1',
    'fec0::1',
    '224.0.0.1',
    '255.255.255.255',
  ])('are not those around the control plane: %s', (host) => {
    expect(() => checkHost('tenant', host)).toThrow('may reach');
    expect(() => checkHost('default', host)).not.toThrow();
  });

  it('are those of others, and names', () => {
    for (const host of ['203.0.113.7', '2001:db8::1', 'example.com'])
      expect(() => checkHost('tenant', host)).not.toThrow();
  });

  it('names that lead around the control plane are not found for a tenant', async () => {
    expect(await looked('tenant', 'localhost')).toBe('refused');
    expect(await looked('default', 'localhost')).toBe('127.0.0.1');
  });
});
