import { expect, it } from 'vitest';
import { isGlobalUnicast } from './proxy-target.ts';

it.each(['10.0.0.1', '192.168.1.1', '8.8.8.8', 'fd00::1', '2001:db8::1'])('%s may be dialled', (ip) => {
  expect(isGlobalUnicast(ip)).toBe(true);
});

it.each([
  '',
  'name.example',
  '127.0.0.1',
  '0.0.0.0',
  '169.254.169.254',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::',
  '0::0',
  '::ffff:127.0.0.1',
  '0:0:0:0:0:ffff:7f00:1',
  '::ffff:a9fe:a9fe',
  '::127.0.0.1',
  'fe80::1',
  'FEBF::1',
  'ff02::1',
])('%j may not, however it is written', (ip) => {
  expect(isGlobalUnicast(ip)).toBe(false);
});
