import type { ConfigMap, Namespace, ServiceAccount } from '../machinery/kinds.d.ts';
import type { Controller } from './controller.ts';
import { expectsOf, ownKey, targetOf } from './owners.ts';
import { configMaps, namespaces, serviceAccounts } from './resources.ts';

const isAlive = (namespace: Namespace | undefined): namespace is Namespace =>
  namespace !== undefined && !namespace.metadata.deletionTimestamp && namespace.status?.phase !== 'Terminating';

/** Every namespace has a ServiceAccount named `default`. */
export const serviceAccountController: Controller<{ namespace: string }> = {
  name: 'serviceaccount',
  watches: [
    { resource: namespaces, keys: ownKey },
    {
      resource: serviceAccounts,
      keys: ({ object, deleted }) =>
        deleted && object.metadata.name === 'default' ? [object.metadata.namespace ?? ''] : [],
    },
  ],
  async observe(read, key) {
    if (!isAlive(await read.get<Namespace>(namespaces, '', key.name))) return undefined;
    const found = await read.get<ServiceAccount>(serviceAccounts, key.name, 'default');
    return found ? undefined : { namespace: key.name };
  },
  decide: ({ namespace }) => ({
    writes: [
      {
        op: 'create',
        resource: serviceAccounts,
        object: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } },
        onExists: 'ignore',
      },
    ],
  }),
};

const rootCaName = 'kube-root-ca.crt';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** Every namespace has a ConfigMap with the authority that signs the API server's certificate, PEM. */
export const createRootCaController = (
  authority: (cluster: string) => string | Promise<string>,
): Controller<{ namespace: string; pem: string; found: ConfigMap | undefined }> => ({
  name: 'root-ca',
  watches: [
    { resource: namespaces, keys: ownKey },
    {
      resource: configMaps,
      keys: ({ object }) => (object.metadata.name === rootCaName ? [object.metadata.namespace ?? ''] : []),
    },
  ],
  async observe(read, key) {
    if (!isAlive(await read.get<Namespace>(namespaces, '', key.name))) return undefined;
    const found = await read.get<ConfigMap>(configMaps, key.name, rootCaName);
    return { namespace: key.name, pem: await authority(read.cluster), found };
  },
  decide({ namespace, pem, found }) {
    const data = { 'ca.crt': pem };
    const annotations = { 'kubernetes.io/description': description };
    if (!found) {
      const metadata = { name: rootCaName, namespace, annotations };
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
      return { writes: [{ op: 'create', resource: configMaps, object, onExists: 'ignore' }] };
    }
    const others = Object.keys(found.data ?? {}).filter((name) => name !== 'ca.crt');
    if (found.data?.['ca.crt'] === pem && others.length === 0) return { writes: [] };
    const merge = { data: { ...data, ...Object.fromEntries(others.map((name) => [name, null])) } };
    return {
      writes: [{ op: 'patch', resource: configMaps, target: targetOf(found), merge, expects: expectsOf(found) }],
    };
  },
});
