/** The parameters of a binding: objects of the policy's paramKind, by name or by labels. */
import { type KubeObject, keyOf, parseGroupVersion } from '../../../machinery/object.ts';
import { labelSelector } from '../../../machinery/selectors.ts';
import { type Call, domainOf } from '../../context.ts';
import type { ResourceInfo } from '../../registry.ts';
import { parseStored, readied } from '../../stored-object.ts';
import type { BoundPolicy, Hook } from './source.ts';

/** What a policy cannot be run for; failurePolicy decides what becomes of the request. */
export class ConfigurationFault extends Error {}

/** The resource that a paramKind names; undefined for a policy without one. Throws ConfigurationFault. */
export const paramResource = ({ server, info }: Call, { spec }: Hook): ResourceInfo | undefined => {
  const { paramKind } = spec;
  if (!paramKind) return undefined;
  const { apiVersion = '', kind = '' } = paramKind;
  const { group, version } = parseGroupVersion(apiVersion);
  const found = server.registry
    .all(info.cluster)
    .find((one) => one.group === group && one.version === version && one.kind === kind);
  if (found) return found;
  throw new ConfigurationFault(`failed to find resource referenced by paramKind: '${group}/${version}, Kind=${kind}'`);
};

const parsed = new WeakMap<object, KubeObject>();

/**
 * The parameters to run a policy with, one after the other; undefined stands for none where none is asked for. Throws
 * ConfigurationFault.
 */
export const collectParams = async (
  call: Call,
  resource: ResourceInfo | undefined,
  { spec }: BoundPolicy,
  namespace: string,
): Promise<(KubeObject | undefined)[]> => {
  const ref = spec.paramRef;
  if (!resource || !ref) return [undefined];
  let within = '';
  if (resource.namespaced) {
    within = ref.namespace || namespace;
    if (!within)
      throw new ConfigurationFault(
        'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
      );
  } else if (ref.namespace)
    throw new ConfigurationFault('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  const domain = domainOf(call.info.cluster, resource);
  const { replicas } = call.server;
  const replica = replicas.peek(domain) ?? (await replicas.of(domain));
  await replica.fresh();
  const one = ref.name ? replica.get(keyOf(within, ref.name)) : undefined;
  const selector = ref.name ? undefined : labelSelector(ref.selector);
  const stored = ref.name
    ? one
      ? [one]
      : []
    : replica.list({
        ...(within && { namespace: within }),
        matches: (_key, { labels }) => selector?.matches(labels) ?? false,
      });
  if (stored.length === 0 && ref.parameterNotFoundAction === 'Deny')
    throw new ConfigurationFault('no params found for policy binding with `Deny` parameterNotFoundAction');
  await readied(resource, stored);
  if (resource.convert) return stored.map(({ bytes }) => parseStored(resource, bytes));
  return stored.map((item) => {
    const object = parsed.get(item) ?? parseStored(resource, item.bytes);
    parsed.set(item, object);
    return object;
  });
};
