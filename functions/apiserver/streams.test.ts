import { expect, it } from 'vitest';
import { isPassedOn } from './streams.ts';

it.each([
  ['/api/v1/namespaces/n/pods/p/proxy', true],
  ['/api/v1/namespaces/n/services/https:s:web/proxy/a/b?q=1', true],
  ['/clusters/t/api/v1/nodes/n:10250/proxy?x', true],
  ['/api/v1/namespaces/proxy-1234/pods', false],
  ['/api/v1/namespaces/proxy/pods/proxy', false],
  ['/api/v1/namespaces/n/pods/p/proxyfoo', false],
  ['/apis/apps/v1/namespaces/n/deployments?x=/pods/p/proxy', false],
])('%s is passed on: %s', (path, wanted) => {
  expect(isPassedOn(path)).toBe(wanted);
});
