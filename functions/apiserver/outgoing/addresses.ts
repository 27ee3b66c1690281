import { lookup as lookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { BUILT_IN } from '../fleet/cluster-kind.ts';

/** Addresses of the deployment's own surroundings, which its tenants must not reach through the control plane. */
const near = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  near.addSubnet(net, prefix, 'ipv4');
}
// Loopback, private and multicast ones, and those that hold one of IPv4 that a router on the way may undo.
for (const [net, prefix] of [
  ['::', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['2001::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const) {
  near.addSubnet(net, prefix, 'ipv6');
}

const isNear = (address: string): boolean => near.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Whether the clusters' owners are others than the deployment's: their webhooks and external names are not believed. */
export const isTenant = (cluster: string): boolean => !BUILT_IN.has(cluster);

const refused = (host: string): Error =>
  new Error(`dial tcp ${host}: the address is not one that this cluster may reach`);

/** Throws where a cluster's webhook, APIService or ExternalName names an address by number that it may not reach. */
export const checkHost = (cluster: string, host: string): void => {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isTenant(cluster) && isIP(bare) && isNear(bare)) throw refused(host);
};

/** Looks names up for a cluster's outgoing connections; what a tenant may not reach is as if it were not there. */
export const lookupFor =
  (cluster: string): LookupFunction =>
  (host, options, done) => {
    lookupAddress(host, { ...options, all: true }, (error, found) => {
      if (error) return done(error, []);
      const allowed = isTenant(cluster) ? found.filter(({ address }) => !isNear(address)) : found;
      const [first] = allowed;
      if (!first) return done(refused(host), []);
      if (options.all) done(null, allowed);
      else done(null, first.address, first.family);
    });
  };
