import type { Pod, PodSpec, PodTemplateSpec } from '../../../machinery/kinds.d.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { forbidden, invalid } from '../../../machinery/status.ts';
import type { Configured } from '../../configuration.ts';
import type { AnyObject, Call } from '../../context.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { CheckedPod } from './check.ts';
import { existingPodWarnings } from './existing-pods.ts';
import { detailText, violations } from './levels.ts';
import {
  compareLevels,
  hasPolicyLabels,
  isFullyPrivileged,
  isPrivileged,
  labelledModes,
  levelText,
  type Policy,
  policyOf,
  privilegedPolicy,
  sameLevelVersion,
} from './policy.ts';

/** PodSecurityConfiguration of pod-security.admission.config.k8s.io/v1, in short. */
export interface PodSecurityOptions {
  /** What holds where a namespace has no labels; privileged when absent. */
  defaults?: Policy;
  exemptions?: {
    usernames?: readonly string[];
    namespaces?: readonly string[];
    runtimeClasses?: readonly string[];
  };
}

/** Where the pod template of a kind stands, by `group/resource`. */
const templates: Readonly<Record<string, (object: AnyObject) => unknown>> = {
  '/podtemplates': (object) => object.template,
  '/replicationcontrollers': (object) => object.spec?.template,
  'apps/replicasets': (object) => object.spec?.template,
  'apps/deployments': (object) => object.spec?.template,
  'apps/statefulsets': (object) => object.spec?.template,
  'apps/daemonsets': (object) => object.spec?.template,
  'batch/jobs': (object) => object.spec?.template,
  'batch/cronjobs': (object) =>
    (object.spec?.jobTemplate as { spec?: { template?: unknown } } | undefined)?.spec?.template,
};

const evaluatedSubresources = new Set(['', 'ephemeralcontainers', 'resize']);

const imagesOf = (spec: PodSpec | undefined): string[][] => [
  (spec?.initContainers ?? []).map((one) => one.image ?? ''),
  (spec?.containers ?? []).map((one) => one.image ?? ''),
];

/** Of a stored pod only images and ephemeral containers can change in a way that matters here. */
const changedMuch = (next: Pod, old: Pod): boolean => {
  if (JSON.stringify(imagesOf(next.spec)) !== JSON.stringify(imagesOf(old.spec))) return true;
  const before = new Map((old.spec?.ephemeralContainers ?? []).map((one) => [one.name, one.image]));
  return (next.spec?.ephemeralContainers ?? []).some(
    (one) => !before.has(one.name) || before.get(one.name) !== one.image,
  );
};

const labelsOf = async ({ server, info }: Call): Promise<Readonly<Record<string, string>>> => {
  const domain = { cluster: info.cluster, group: '', resource: 'namespaces' };
  return (await server.store.get(domain, info.namespace))?.index.labels ?? {};
};

type Found = ReturnType<typeof policyOf>;
const faultsText = (causes: Found['causes']): string => {
  const texts = causes.map(({ field, message }) => `${field}: ${message}`);
  return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
};

/** What the audit event says of a decision. */
const note = (call: Call, key: 'audit-violations' | 'enforce-policy' | 'error' | 'exempt', value: string): void =>
  call.trail?.annotate(`pod-security.kubernetes.io/${key}`, value);

const warnAll = (call: Call, texts: readonly string[]): void => {
  for (const text of texts) if (!call.warnings.includes(text)) call.warnings.push(text);
};

const createFixedPodSecurity = (
  options: PodSecurityOptions,
): Required<Pick<AdmissionPlugin, 'name' | 'about' | 'validate'>> => {
  const defaults = options.defaults ?? privilegedPolicy;
  const users = new Set(options.exemptions?.usernames ?? []);
  const namespaces = new Set(options.exemptions?.namespaces ?? []);
  const runtimes = new Set(options.exemptions?.runtimeClasses ?? []);
  const isFree = isFullyPrivileged(defaults);
  const free: Found = { policy: defaults, causes: [] };
  const exemptRuntime = (spec: PodSpec | undefined): boolean => runtimes.has(spec?.runtimeClassName ?? '');

  /** True where nothing is looked at: the namespace's pods are exempt, or the user is. */
  const isExempt = (call: Call): boolean => {
    const why = namespaces.has(call.info.namespace) ? 'namespace' : users.has(call.user.username) ? 'user' : '';
    if (why) note(call, 'exempt', why);
    return why !== '';
  };

  const evaluate = (call: Call, { policy, causes }: Found, pod: CheckedPod, enforced: string | undefined): void => {
    if (exemptRuntime(pod.spec)) {
      note(call, 'exempt', 'runtimeClass');
      return;
    }
    if (call.trail) {
      if (causes.length > 0) note(call, 'error', `Failed to parse policy: ${faultsText(causes)}`);
      const noted = violations(policy.audit, pod);
      const text = `would violate PodSecurity "${levelText(policy.audit)}": ${detailText(noted)}`;
      if (noted.length > 0) note(call, 'audit-violations', text);
    }
    if (enforced !== undefined) {
      note(call, 'enforce-policy', levelText(policy.enforce));
      const against = violations(policy.enforce, pod);
      if (against.length > 0)
        throw forbidden(
          { group: '', kind: 'pods', name: enforced },
          `violates PodSecurity "${levelText(policy.enforce)}": ${detailText(against)}`,
        );
    }
    const against = violations(policy.warn, pod);
    if (against.length > 0)
      warnAll(call, [`would violate PodSecurity "${levelText(policy.warn)}": ${detailText(against)}`]);
  };

  const validatePod = async (request: AdmissionRequest): Promise<void> => {
    const { call, operation, object, old } = request;
    const pod = object as KubeObject | undefined as Pod | undefined;
    if (!pod?.spec || isExempt(call)) return;
    const labels = await labelsOf(call);
    const found = isFree && !hasPolicyLabels(labels) ? free : policyOf(labels, defaults);
    if (isFullyPrivileged(found.policy) && found.causes.length === 0) {
      note(call, 'enforce-policy', levelText(found.policy.enforce));
      return;
    }
    if (operation === 'UPDATE' && old && !changedMuch(pod, old as KubeObject as Pod)) return;
    const name = call.info.name || (pod.metadata.name ?? '');
    evaluate(call, found, { annotations: pod.metadata.annotations ?? {}, spec: pod.spec }, name);
  };

  const validateTemplate = async ({ call }: AdmissionRequest, template: PodTemplateSpec | undefined): Promise<void> => {
    if (!template?.spec || isExempt(call)) return;
    const labels = await labelsOf(call);
    if (isFree && !hasPolicyLabels(labels)) return;
    const found = policyOf(labels, defaults);
    const { warn, audit } = found.policy;
    const annotations = (template.metadata?.annotations ?? {}) as Record<string, string>;
    if (!isPrivileged(warn) || (call.trail && !isPrivileged(audit)) || found.causes.length > 0)
      evaluate(call, found, { annotations, spec: template.spec }, undefined);
  };

  const validateNamespace = async ({ call, operation, object, old }: AdmissionRequest): Promise<void> => {
    const labels = object?.metadata.labels ?? {};
    const before = old?.metadata.labels ?? {};
    if (!object || (!hasPolicyLabels(labels) && !hasPolicyLabels(before))) return;
    const { policy, causes } = policyOf(labels, defaults);
    const was = operation === 'UPDATE' ? policyOf(before, defaults) : undefined;
    const name = object.metadata.name ?? '';
    if (causes.length > 0 && JSON.stringify(causes) !== JSON.stringify(was?.causes))
      throw invalid({ group: '', kind: 'Namespace', name }, causes);
    if (was) {
      const [next, last] = [policy.enforce, was.policy.enforce];
      const loosened = next.version === last.version && compareLevels(next.level, last.level) <= 0;
      if (sameLevelVersion(next, last) || isPrivileged(next) || loosened) return;
    }
    if (namespaces.has(name)) {
      const asked = labelledModes(labels, policy);
      if (asked && JSON.stringify(policy) !== JSON.stringify(defaults))
        warnAll(call, [`namespace "${name}" is exempt from Pod Security, and the policy (${asked}) will be ignored`]);
    } else if (was) warnAll(call, await existingPodWarnings(call, policy.enforce, (pod) => exemptRuntime(pod.spec)));
  };

  return {
    name: 'PodSecurity',
    about: ['/namespaces', '/pods', ...Object.keys(templates)],
    validate: async (request) => {
      const { call, operation, subresource, object } = request;
      if (operation !== 'CREATE' && operation !== 'UPDATE') return;
      const { group, resource } = call.resource;
      if (group === '' && resource === 'pods')
        return evaluatedSubresources.has(subresource) ? validatePod(request) : undefined;
      if (subresource !== '') return;
      if (group === '' && resource === 'namespaces') return validateNamespace(request);
      const template = templates[`${group}/${resource}`];
      if (template && object) return validateTemplate(request, template(object) as PodTemplateSpec | undefined);
    },
  };
};

/**
 * Holds pods to the Pod Security Standards that the labels of their namespace name (KEP-2579). What `configured` says of a
 * cluster goes before `options`.
 */
export const createPodSecurity = (options: PodSecurityOptions = {}, configured?: Configured): AdmissionPlugin => {
  const plain = createFixedPodSecurity(options);
  if (!configured) return plain;
  const made = new WeakMap<PodSecurityOptions, typeof plain>();
  const pluginFor = (cluster: string): typeof plain => {
    const given = configured(cluster).admission?.podSecurity;
    if (!given) return plain;
    const plugin = made.get(given) ?? createFixedPodSecurity(given);
    made.set(given, plugin);
    return plugin;
  };
  return { ...plain, validate: (request) => pluginFor(request.call.info.cluster).validate(request) };
};
