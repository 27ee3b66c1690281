import type { Domain } from './store.ts';

/** The domain as one string, unique; cluster first, so that a cluster's domains share a prefix. */
export const domainName = (domain: Domain): string => `${domain.cluster}/${domain.group}/${domain.resource}`;

/** Reads what domainName wrote. Neither clusters, groups nor resources hold a slash. */
export const parseDomain = (name: string): Domain => {
  const [cluster = '', group = '', resource = ''] = name.split('/');
  return { cluster, group, resource };
};

/** Largest object a store takes, in bytes: etcd's default request limit. */
export const objectBytesMax = 1_572_864;

/** Bytes that the value of a write may take: more than the object where it lies there sealed (encryption/store.ts). */
export const bytesMaxOf = ({ overhead }: { overhead?: number }): number => objectBytesMax + (overhead ?? 0);

/** The message etcd gives, which clients of the API know. */
export const tooLarge = 'etcdserver: request is too large';

const surrogate = /[\ud800-\udfff]/;

/** Byte order of the UTF-8 forms, negative when `a` comes first; JavaScript's own order differs beyond the BMP. */
export const compareKeys = (a: string, b: string): number => {
  if (a === b) return 0;
  if (surrogate.test(a) || surrogate.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
};
