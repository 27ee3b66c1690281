// What a write to the status endpoint may not say, for kinds whose strategies hold no such rules themselves.
import type {
  Container,
  ContainerStatus,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PodSpec,
  PodStatus,
  Service,
  ValidatingAdmissionPolicy,
  VolumeAttachment,
} from '../../machinery/kinds.d.ts';
import type { KubeObject } from '../../machinery/object.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import {
  at,
  type Causes,
  checkIP,
  checkLabelName,
  checkSubdomain,
  invalidEach,
  nonNegative,
  oneOf,
  same,
} from './checks.ts';
import { familyOf } from './ip.ts';
import { qualifiedName } from './names.ts';
import { checkAnnotationChanges } from './pod/annotations.ts';

type Rule = (next: KubeObject, old: KubeObject) => Causes;

const REASON = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;
const REASON_FAULT =
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";

/** meta/v1 Conditions: type, status, time and reason are required, and a type stands once. */
export const checkConditions = (
  out: Causes,
  path: string,
  conditions:
    | readonly {
        type?: string;
        status?: string;
        reason?: string;
        lastTransitionTime?: string;
        observedGeneration?: number;
      }[]
    | undefined,
): void => {
  const seen = new Set<string>();
  conditions?.forEach((condition, i) => {
    const where = at(path, i);
    const { type = '', status = '', reason = '' } = condition;
    if (seen.has(type)) out.push(cause.duplicate(`${where}.type`, type));
    seen.add(type);
    checkLabelName(out, `${where}.type`, type);
    const known = ['False', 'True', 'Unknown'];
    if (!known.includes(status)) out.push(cause.notSupported(`${where}.status`, status, known));
    nonNegative(out, `${where}.observedGeneration`, condition.observedGeneration);
    if (!condition.lastTransitionTime) out.push(cause.required(`${where}.lastTransitionTime`));
    if (!reason) out.push(cause.required(`${where}.reason`));
    else if (!REASON.test(reason)) out.push(cause.invalid(`${where}.reason`, reason, REASON_FAULT));
  });
};

const checkAddresses = (out: Causes, path: string, ips: readonly string[], before: readonly string[]): void => {
  for (const [i, ip] of ips.entries()) if (!before.includes(ip)) checkIP(out, at(path, i), ip);
  if (ips.length < 2) return;
  const families = new Set(ips.map(familyOf));
  if (ips.length > 2 || families.size < ips.length)
    out.push(cause.invalid(path, ips, 'may specify no more than one IP for each IP family'));
};

const restarts = (container: Container, spec: PodSpec, exitCode: number): boolean => {
  const rule = container.restartPolicyRules?.find(({ exitCodes }) => {
    const listed = (exitCodes?.values ?? []).includes(exitCode);
    return exitCodes?.operator === 'NotIn' ? !listed : listed;
  });
  if (container.restartPolicy && rule && rule.action !== undefined) return true;
  const policy = container.restartPolicy ?? spec.restartPolicy ?? 'Always';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
};

/** A container that is through stays so, unless its pod starts it again. */
const checkTransitions = (
  out: Causes,
  path: string,
  next: readonly ContainerStatus[] = [],
  old: readonly ContainerStatus[] = [],
  mayRestart: (name: string, exitCode: number) => boolean,
): void => {
  for (const [i, before] of old.entries()) {
    const ended = before.state?.terminated;
    const now = next.find((status) => status.name === before.name);
    if (ended && now && !now.state?.terminated && !mayRestart(before.name, ended.exitCode))
      out.push(cause.forbidden(`${at(path, i)}.state`, 'may not be transitioned to non-terminated state'));
  }
};

const SYSTEM_CONDITIONS = new Set(['PodScheduled', 'Ready', 'Initialized']);

const checkContainers = (out: Causes, next: PodStatus, old: PodStatus, spec: PodSpec): void => {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const anyRestarts = all.some((c) => c.restartPolicyRules?.some((rule) => rule.action === 'RestartAllContainers'));
  const among = (list: readonly Container[] | undefined) => (name: string, exitCode: number) => {
    const container = list?.find((c) => c.name === name);
    return anyRestarts || (container !== undefined && restarts(container, spec, exitCode));
  };
  const path = 'status.containerStatuses';
  checkTransitions(out, path, next.containerStatuses, old.containerStatuses, among(spec.containers));
  const init = 'status.initContainerStatuses';
  checkTransitions(out, init, next.initContainerStatuses, old.initContainerStatuses, among(spec.initContainers));
  const ephemeral = 'status.ephemeralContainerStatuses';
  checkTransitions(out, ephemeral, next.ephemeralContainerStatuses, old.ephemeralContainerStatuses, () => false);
};

const podStatus: Rule = (object, before) => {
  const out: Causes = [];
  const [pod, old] = [object as Pod, before as Pod];
  const { status = {}, spec } = pod;
  const was = old.status ?? {};
  checkAnnotationChanges(out, pod.metadata.annotations, old.metadata.annotations);
  status.conditions?.forEach((condition, i) => {
    const where = at('status.conditions', i);
    nonNegative(out, `${where}.observedGeneration`, condition.observedGeneration);
    if (!SYSTEM_CONDITIONS.has(condition.type))
      invalidEach(out, `${where}.Type`, condition.type, qualifiedName(condition.type));
  });
  const { nominatedNodeName: nominated } = status;
  if (nominated && nominated !== was.nominatedNodeName) {
    checkSubdomain(out, 'status.nominatedNodeName', nominated);
    if (old.spec?.nodeName)
      out.push(cause.forbidden('status.nominatedNodeName', 'may not be set on pods that are already bound to a node'));
  }
  if ((status.observedGeneration ?? 0) < 0)
    out.push(cause.invalid('status.observedGeneration', status.observedGeneration, 'must be a non-negative integer'));
  if (was.qosClass && !same(status.qosClass, was.qosClass))
    out.push(cause.invalid('status.qosClass', status.qosClass, 'field is immutable'));
  if (spec) checkContainers(out, status, was, spec);
  const claims = new Set((spec?.resourceClaims ?? []).map((claim) => claim.name));
  status.resourceClaimStatuses?.forEach((claim, i) => {
    const where = `${at('status.resourceClaimStatuses', i)}.name`;
    if (!claims.has(claim.name))
      out.push(cause.invalid(where, claim.name, 'must match the name of an entry in `spec.resourceClaims`'));
  });
  const ipsOf = (list: readonly { ip?: string }[] | undefined) => (list ?? []).map((one) => one.ip ?? '');
  checkAddresses(out, 'status.podIPs', ipsOf(status.podIPs), ipsOf(was.podIPs));
  const hosts = ipsOf(status.hostIPs);
  if (hosts.length > 0 && hosts[0] !== (status.hostIP ?? ''))
    out.push(cause.invalid('status.hostIPs[0].ip', hosts[0], 'must be equal to `hostIP`'));
  checkAddresses(out, 'status.hostIPs', hosts, ipsOf(was.hostIPs));
  return out;
};

const serviceStatus: Rule = (object, before) => {
  const out: Causes = [];
  const { spec, status } = object as Service;
  const path = 'status.loadBalancer.ingress';
  const list = status?.loadBalancer?.ingress ?? [];
  if (spec?.type !== 'LoadBalancer') {
    if (list.length > 0) out.push(cause.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"));
    return out;
  }
  const known = ((before as Service).status?.loadBalancer?.ingress ?? []).map((one) => one.ip);
  list.forEach(({ ip, ipMode, hostname }, i) => {
    const where = at(path, i);
    if (ip && !known.includes(ip)) checkIP(out, `${where}.ip`, ip);
    if (ipMode !== undefined && !ip)
      out.push(cause.forbidden(`${where}.ipMode`, 'may not be specified when `ip` is not set'));
    else oneOf(out, `${where}.ipMode`, ipMode, ['Proxy', 'VIP']);
    if (!hostname) return;
    checkSubdomain(out, `${where}.hostname`, hostname);
    if (familyOf(hostname))
      out.push(cause.invalid(`${where}.hostname`, hostname, 'must be a DNS name, not an IP address'));
  });
  return out;
};

const RESIZE_STATES = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
  'NodeResizePending',
];

const checkAmounts = (out: Causes, path: string, amounts: Record<string, string> | undefined): void => {
  for (const [name, amount] of Object.entries(amounts ?? {}))
    if (amount.startsWith('-')) out.push(cause.invalid(at(path, name), amount, 'must be a valid resource quantity'));
};

const checkClaimKey = (out: Causes, path: string, name: string): boolean => {
  if (name === 'storage' || name.includes('/')) return true;
  out.push(cause.notSupported(path, name, ['storage']));
  return false;
};

const claimStatus: Rule = (object) => {
  const out: Causes = [];
  const { status } = object as PersistentVolumeClaim;
  checkAmounts(out, 'status.capacity', status?.capacity);
  for (const [name, state] of Object.entries(status?.allocatedResourceStatuses ?? {})) {
    checkClaimKey(out, 'status.allocatedResourceStatuses', name);
    if (!RESIZE_STATES.includes(state))
      out.push(cause.notSupported('status.allocatedResourceStatuses', name, [...RESIZE_STATES].sort()));
  }
  for (const [name, amount] of Object.entries(status?.allocatedResources ?? {}))
    if (checkClaimKey(out, 'status.allocatedResources', name))
      checkAmounts(out, 'status.allocatedResources', { [name]: amount });
  return out;
};

const METADATA_BYTES_MAX = 262_144;
const VOLUME_ERROR_BYTES_MAX = 1024;
const attachmentStatus: Rule = (object) => {
  const { status } = object as VolumeAttachment;
  const out: Causes = [];
  for (const field of ['attachError', 'detachError'] as const) {
    const { message = '', errorCode = 0 } = status?.[field] ?? {};
    if (Buffer.byteLength(message) > VOLUME_ERROR_BYTES_MAX)
      out.push(cause.tooLong(`status.${field}.message`, VOLUME_ERROR_BYTES_MAX));
    if (errorCode < 0)
      out.push(cause.invalid(`status.${field}.errorCode`, errorCode, 'must be between 0 and 2147483647, inclusive'));
  }
  const metadata = status?.attachmentMetadata ?? {};
  const size = Object.entries(metadata).reduce((sum, [k, v]) => sum + Buffer.byteLength(k) + Buffer.byteLength(v), 0);
  if (size > METADATA_BYTES_MAX) out.push(cause.tooLong('status.attachmentMetadata', METADATA_BYTES_MAX));
  return out;
};

const withConditions: Rule = (object) => {
  const out: Causes = [];
  const { status } = object as PodDisruptionBudget | ValidatingAdmissionPolicy;
  checkConditions(out, 'status.conditions', status?.conditions);
  return out;
};

const rules: Record<string, Rule> = {
  '/Pod': podStatus,
  '/Service': serviceStatus,
  '/PersistentVolumeClaim': claimStatus,
  'storage.k8s.io/VolumeAttachment': attachmentStatus,
  'policy/PodDisruptionBudget': withConditions,
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy': withConditions,
};

/** Rules of a kind's status beyond those of its strategy, by `group/Kind`. */
export const statusRulesOf = (key: string): ((next: KubeObject, old: KubeObject) => Cause[]) | undefined => rules[key];
