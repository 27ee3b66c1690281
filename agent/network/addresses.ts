/**
 * Addresses of an embedded cluster. Everything lives in namespaces of its own, so they clash with nothing of the host.
 */
export const CLUSTER_DOMAIN = 'cluster.local';
export const SERVICE_CIDR = '10.96.0.0/16';
/** The `kubernetes` service: a relay on every node answers here and leads to the apiserver. */
export const KUBERNETES_IP = '10.96.0.1';
/** The endpoint behind that service, for those who ask for endpoints: the same relay, on every node. */
export const APISERVER_IP = '100.96.0.2';
export const APISERVER_PORT = 6443;
/** Cluster DNS: the agent of every node answers here. */
export const DNS_IP = '10.96.0.10';
export const POD_CIDR = '10.244.0.0/16';

/** `10.244.{i}.0/24` of the i-th node, from 0. */
export const podCidrOf = (index: number): string => `10.244.${index}.0/24`;
/** The place of a block as `podCidrOf` makes them; undefined for any other. */
export const placeOf = (podCidr: string): number | undefined => {
  const place = /^10\.244\.(\d{1,3})\.0\/24$/.exec(podCidr)?.[1];
  return place === undefined ? undefined : Number(place);
};
/** The i-th node on the fabric, from 0. */
export const nodeIpOf = (index: number): string => `100.96.${Math.floor((index + 10) / 256)}.${(index + 10) % 256}`;
export const FABRIC_GATEWAY = '100.96.0.1';
export const FABRIC_PREFIX = 16;
