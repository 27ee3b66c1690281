import { expect, it } from 'vitest';
import { plainRequest } from './plain-request.ts';

const request = (headers: Record<string, string>): Request =>
  plainRequest({ method: 'GET', path: '/', headers, body: undefined, onClose: () => {} });

it('tells the host that was asked, in whichever field it came', () => {
  expect(request({ ':authority': 'kubernetes.default.svc:443' }).headers.get('host')).toBe(
    'kubernetes.default.svc:443',
  );
  expect(request({ host: 'a' }).headers.get('host')).toBe('a');
  expect(request({}).headers.get('host')).toBeNull();
});
