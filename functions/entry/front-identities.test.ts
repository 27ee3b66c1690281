import { X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { authenticationConfigMap, FRONT_PROXY_NAME } from '../apiserver/aggregation/identity.ts';
import { frontProxyOf } from './front-identities.ts';
import { issueFrontProxy } from './issue.ts';

it('shows each cluster a name of its own, which the API servers of that cluster alone let in', async () => {
  const frontProxy = await issueFrontProxy(FRONT_PROXY_NAME);
  const front = frontProxyOf({ frontProxy });
  const names = new Map<string, string>();
  for (const cluster of ['default', 'team-a', 'team-b']) {
    const identity = await front.identityOf?.(cluster);
    const cert = new X509Certificate(identity?.cert ?? '');
    expect(cert.verify(new X509Certificate(frontProxy.caCert).publicKey)).toBe(true);
    expect(cert.ca).toBe(false);
    const name = cert.subject.replace('CN=', '');
    const { data } = authenticationConfigMap(cluster, 'ca', front);
    expect(JSON.parse(data['requestheader-allowed-names'] ?? '')).toEqual([name]);
    names.set(cluster, name);
    expect(await front.identityOf?.(cluster)).toEqual(identity);
  }
  expect(new Set(names.values()).size).toBe(3);
  expect(names.get('default')).toBe(FRONT_PROXY_NAME);
});
