import type { Container, Pod, PodSpec, ServiceAccount, Volume } from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { refusal } from './refusal.ts';
import { isCreateOf, isUpdateOf } from './request-type.ts';
import { apiObjectReference, ephemeralSecrets, podSecrets, type SecretReference } from './secret-references.ts';
import { storedObject } from './stored.ts';

const mirror = 'kubernetes.io/config.mirror';
const enforced = 'kubernetes.io/enforce-mountable-secrets';
const tokenMount = '/var/run/secrets/kubernetes.io/serviceaccount';
const volumePrefix = 'kube-api-access-';
const letters = 'bcdfghjklmnpqrstvwxz2456789';

/** Five letters, as upstream's generated names end in. */
const suffix = (random: () => number): string => {
  let text = '';
  for (let i = 0; i < 5; i++) text += letters[Math.floor(random() * letters.length)];
  return text;
};

const mountToken = (spec: PodSpec, random: () => number): void => {
  const known = spec.volumes?.find((volume) => volume.name.startsWith(volumePrefix))?.name;
  const volume = known ?? `${volumePrefix}${suffix(random)}`;
  let used = false;
  const mount = (container: Container): void => {
    const mounts = container.volumeMounts ?? [];
    if (mounts.some((one) => one.mountPath === tokenMount)) return;
    container.volumeMounts = [...mounts, { name: volume, readOnly: true, mountPath: tokenMount }];
    used = true;
  };
  for (const container of spec.initContainers ?? []) mount(container);
  for (const container of spec.containers ?? []) mount(container);
  if (known !== undefined || !used) return;
  const fieldRef = { apiVersion: 'v1', fieldPath: 'metadata.namespace' };
  const projected = {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef }] } },
    ],
  };
  spec.volumes = [...(spec.volumes ?? []), { name: volume, projected } as Volume];
};

/** The account of the default name is about to be made where it is missing: a new namespace's controller makes it. */
const defaultAttempts = 10;

const accountOf = async (request: AdmissionRequest, name: string): Promise<ServiceAccount> => {
  const { info, server } = request.call;
  const { clock } = server;
  const pauseMs = 100 + Math.floor(clock.random() * 100);
  for (let attempt = 1; ; attempt++) {
    const found = await storedObject<ServiceAccount>(request.call, '', 'serviceaccounts', `${info.namespace}/${name}`);
    if (found) return found;
    if (attempt >= (name === 'default' ? defaultAttempts : 1)) break;
    await clock.sleep(pauseMs);
  }
  const place = `${info.namespace}/${name}`;
  throw refusal(request, `error looking up service account ${place}: serviceaccount "${name}" not found`);
};

/** Where an account says so, its pods name the secrets that it lists and no others. */
const limitSecrets = (account: ServiceAccount, references: readonly SecretReference[]): string | undefined => {
  if (!/^(1|t|true)$/i.test(account.metadata.annotations?.[enforced] ?? '')) return undefined;
  const listed = new Set((account.secrets ?? []).map((one) => one.name));
  const odd = references.find(({ name }) => !listed.has(name));
  if (!odd) return undefined;
  const { name } = account.metadata;
  return `${odd.place} secret.secretName="${odd.name}" is not allowed because service account ${name} does not reference that secret`;
};

const limitPullSecrets = (account: ServiceAccount, spec: PodSpec): string | undefined => {
  if (!/^(1|t|true)$/i.test(account.metadata.annotations?.[enforced] ?? '')) return undefined;
  const listed = new Set((account.imagePullSecrets ?? []).map((one) => one.name));
  const at = (spec.imagePullSecrets ?? []).findIndex((one) => !listed.has(one.name));
  if (at < 0) return undefined;
  const { name } = account.metadata;
  return `imagePullSecrets[${at}].name="${spec.imagePullSecrets?.[at]?.name}" is not allowed because service account ${name} does not reference that imagePullSecret`;
};

/** Mirror pods show what a node runs by itself: they have no identity and read nothing of the API. */
const checkMirror = (request: AdmissionRequest, spec: PodSpec): void => {
  if (spec.serviceAccountName) throw refusal(request, 'a mirror pod may not reference service accounts');
  if (apiObjectReference({ ...spec, volumes: [] }) === 'secrets' || spec.volumes?.some((one) => one.secret))
    throw refusal(request, 'a mirror pod may not reference secrets');
  const sources = (spec.volumes ?? []).flatMap((one) => one.projected?.sources ?? []);
  if (sources.some((one) => one.serviceAccountToken))
    throw refusal(request, 'a mirror pod may not use ServiceAccountToken volume projections');
};

/** Pods run as a service account that exists, with its pull secrets and a projected token. */
export const serviceAccount: AdmissionPlugin = {
  name: 'ServiceAccount',
  about: ['/pods'],
  admit: async (request) => {
    const pod = request.object as KubeObject | undefined as Pod | undefined;
    if (!isCreateOf(request, '/pods') || !pod?.spec) return;
    const { spec } = pod;
    if (pod.metadata.annotations?.[mirror] !== undefined) return checkMirror(request, spec);
    const name = spec.serviceAccountName || spec.serviceAccount || 'default';
    spec.serviceAccountName = name;
    spec.serviceAccount = name;
    const account = await accountOf(request, name);
    const mount = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
    if (mount) mountToken(spec, () => request.call.server.clock.random());
    if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
      spec.imagePullSecrets = account.imagePullSecrets.map((one) => ({ ...one }));
    const why = limitSecrets(account, podSecrets(spec)) ?? limitPullSecrets(account, spec);
    if (why) throw refusal(request, why);
  },
  validate: async (request) => {
    const pod = request.object as KubeObject | undefined as Pod | undefined;
    if (!isUpdateOf(request, '/pods', 'ephemeralcontainers') || !pod?.spec?.serviceAccountName) return;
    const account = await accountOf(request, pod.spec.serviceAccountName);
    const why = limitSecrets(account, ephemeralSecrets(pod.spec));
    if (why) throw refusal(request, why);
  },
};
