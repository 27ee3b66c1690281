import type { JsonObject } from '../../machinery/object.ts';
import { forbidden, notFound } from '../../machinery/status.ts';
import { decode } from '../../store/decoded.ts';
import { type AnyObject, domainOf } from '../context.ts';
import { parseStored } from '../stored-object.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { limitRanger } from './limitranger/limitranger.ts';
import { storageObjectInUseProtection, taintNodesByCondition } from './objects-in-use.ts';
import { runtimeClass } from './runtime-class.ts';

const builtinNamespaces = new Set(['default', 'kube-system', 'kube-public']);

/** Creates need a namespace that exists and is not going; the built-in namespaces cannot be deleted. */
export const namespaceLifecycle: AdmissionPlugin = {
  name: 'NamespaceLifecycle',
  admit: async ({ call, operation, object }) => {
    const { info, resource, server } = call;
    if (operation === 'DELETE' && resource.group === '' && resource.resource === 'namespaces') {
      if (builtinNamespaces.has(info.name))
        throw forbidden({ group: '', kind: 'namespaces', name: info.name }, 'this namespace may not be deleted');
      return;
    }
    if (operation !== 'CREATE' || !resource.namespaced || !info.namespace) return;
    const namespaces = server.registry.find(info.cluster, '', 'v1', 'namespaces');
    if (!namespaces) return;
    const stored = await server.store.get(domainOf(info.cluster, namespaces), info.namespace);
    if (!stored) throw notFound({ group: '', kind: 'namespaces', name: info.namespace });
    if (stored.index.fields['status.phase'] !== 'Terminating') return;
    const error = forbidden(
      { group: resource.group, kind: resource.resource, name: object?.metadata.name ?? '' },
      `unable to create new content in namespace ${info.namespace} because it is being terminated`,
    );
    error.status.details = {
      ...error.status.details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${info.namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    };
    throw error;
  },
};

const isPod = ({ call, operation, subresource }: AdmissionRequest): boolean =>
  operation !== 'DELETE' && !subresource && call.resource.group === '' && call.resource.resource === 'pods';
const isPodCreate = (request: AdmissionRequest): boolean => request.operation === 'CREATE' && isPod(request);

/** Resolves priorityClassName to a number and a preemption policy. KEP-564. */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  admit: async (request) => {
    const { call, object } = request;
    if (!isPodCreate(request) || !object?.spec) return;
    const spec = object.spec;
    const classes = call.server.registry.find(call.info.cluster, 'scheduling.k8s.io', 'v1', 'priorityclasses');
    if (!classes) return;
    let value = 0;
    let policy = 'PreemptLowerPriority';
    const name = typeof spec.priorityClassName === 'string' ? spec.priorityClassName : '';
    const domain = domainOf(call.info.cluster, classes);
    if (name) {
      const stored = await call.server.store.get(domain, name);
      if (!stored)
        throw forbidden(
          { group: '', kind: 'pods', name: object.metadata.name ?? '' },
          `no PriorityClass with name ${name} was found`,
        );
      const found = parseStored(classes, stored.bytes);
      value = Number(found.value ?? 0);
      policy = String(found.preemptionPolicy ?? policy);
    } else {
      const replica = await call.server.replicas.of(domain);
      for (const one of replica.list({})) {
        const found = parseStored(classes, one.bytes);
        if (!found.globalDefault) continue;
        spec.priorityClassName = found.metadata.name ?? '';
        value = Number(found.value ?? 0);
        policy = String(found.preemptionPolicy ?? policy);
      }
    }
    if (typeof spec.priority === 'number' && spec.priority !== value)
      throw forbidden(
        { group: '', kind: 'pods', name: object.metadata.name ?? '' },
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
      );
    if (typeof spec.preemptionPolicy === 'string' && spec.preemptionPolicy !== policy)
      throw forbidden(
        { group: '', kind: 'pods', name: object.metadata.name ?? '' },
        `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
      );
    spec.priority = value;
    spec.preemptionPolicy = policy;
  },
};

const tolerated = (tolerations: JsonObject[], key: string): boolean =>
  tolerations.some((t) => (t.key === key || !t.key) && (!t.effect || t.effect === 'NoExecute'));

/** Pods tolerate an unready or unreachable node for five minutes unless they say otherwise. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  admit: (request) => {
    const spec = request.object?.spec;
    if (!isPod(request) || !spec) return;
    const tolerations = (Array.isArray(spec.tolerations) ? spec.tolerations : []) as JsonObject[];
    for (const key of ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']) {
      if (!tolerated(tolerations, key))
        tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
    }
    spec.tolerations = tolerations;
  },
};

const tokenMount = '/var/run/secrets/kubernetes.io/serviceaccount';

const mountToken = (spec: JsonObject, volume: string): void => {
  let used = false;
  for (const list of [spec.initContainers, spec.containers]) {
    for (const container of (Array.isArray(list) ? list : []) as JsonObject[]) {
      const mounts = (Array.isArray(container.volumeMounts) ? container.volumeMounts : []) as JsonObject[];
      if (mounts.some((m) => m.mountPath === tokenMount)) continue;
      container.volumeMounts = [...mounts, { name: volume, readOnly: true, mountPath: tokenMount }];
      used = true;
    }
  }
  if (!used) return;
  const volumes = (Array.isArray(spec.volumes) ? spec.volumes : []) as JsonObject[];
  const projected = {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
  };
  spec.volumes = [...volumes, { name: volume, projected }];
};

/** Pods run as a service account that exists, with its pull secrets and a projected token. */
export const serviceAccount: AdmissionPlugin = {
  name: 'ServiceAccount',
  admit: async (request) => {
    const { call, object } = request;
    if (!isPodCreate(request) || !object?.spec) return;
    if (object.metadata.annotations?.['kubernetes.io/config.mirror']) return;
    const spec = object.spec;
    const name =
      typeof spec.serviceAccountName === 'string' && spec.serviceAccountName ? spec.serviceAccountName : 'default';
    spec.serviceAccountName = name;
    spec.serviceAccount = name;
    const accounts = call.server.registry.find(call.info.cluster, '', 'v1', 'serviceaccounts');
    if (!accounts) return;
    const stored = await call.server.store.get(domainOf(call.info.cluster, accounts), `${call.info.namespace}/${name}`);
    if (!stored)
      throw forbidden(
        { group: '', kind: 'pods', name: object.metadata.name ?? '' },
        `error looking up service account ${call.info.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
      );
    const account = decode(stored) as AnyObject;
    const secrets = account.imagePullSecrets;
    if (!Array.isArray(spec.imagePullSecrets) && Array.isArray(secrets) && secrets.length)
      spec.imagePullSecrets = structuredClone(secrets);
    const mount = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
    if (mount) mountToken(spec, `kube-api-access-${call.server.clock.uuid().slice(0, 5)}`);
  },
};

/** In upstream's order. */
export const builtinPlugins: readonly AdmissionPlugin[] = [
  namespaceLifecycle,
  limitRanger,
  serviceAccount,
  taintNodesByCondition,
  priority,
  defaultTolerationSeconds,
  storageObjectInUseProtection,
  runtimeClass,
];
