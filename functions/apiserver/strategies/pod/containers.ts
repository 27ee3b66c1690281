// Containers: regular, init and ephemeral.
import type {
  Container,
  ContainerPort,
  EphemeralContainer,
  PodSpec,
  Volume,
  VolumeDevice,
  VolumeMount,
} from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, checkDnsLabel, checkPort, invalidEach, oneOf, required, requiredOneOf } from '../checks.ts';
import { portName } from '../names.ts';
import { checkEnv, checkEnvFrom } from './env.ts';
import { checkLifecycle, checkProbes } from './handlers.ts';
import { descendingPath } from './paths.ts';
import { checkRequirements } from './resources.ts';
import { checkSecurity } from './security.ts';

/** What the containers of one pod have in common. */
export interface Surroundings {
  spec: PodSpec;
  volumes: ReadonlyMap<string, Volume>;
  claims: ReadonlySet<string>;
  hostUsers: boolean;
}

const checkPorts = (out: Causes, path: string, ports: readonly ContainerPort[] | undefined): void => {
  const names = new Set<string>();
  ports?.forEach((port, i) => {
    const where = at(path, i);
    if (port.name) {
      const messages = portName(port.name);
      invalidEach(out, `${where}.name`, port.name, messages);
      if (!messages.length && names.has(port.name)) out.push(cause.duplicate(`${where}.name`, port.name));
      if (!messages.length) names.add(port.name);
    }
    if (!port.containerPort) out.push(cause.required(`${where}.containerPort`));
    else checkPort(out, `${where}.containerPort`, port.containerPort);
    if (port.hostPort) checkPort(out, `${where}.hostPort`, port.hostPort);
    requiredOneOf(out, `${where}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']);
  });
};

const hostPortsOnce = (out: Causes, path: string, containers: readonly Container[], from = 0): void => {
  const seen = new Set<string>();
  containers.forEach((c, i) => {
    c.ports?.forEach((port, n) => {
      if (!port.hostPort) return;
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (seen.has(key)) out.push(cause.duplicate(`${at(`${at(path, from + i)}.ports`, n)}.hostPort`, key));
      seen.add(key);
    });
  });
};

const checkReadOnly = (out: Causes, path: string, mount: VolumeMount): void => {
  const mode = mount.recursiveReadOnly;
  if (!oneOf(out, path, mode, ['Disabled', 'Enabled', 'IfPossible'])) return;
  if (mode === undefined || mode === 'Disabled') return;
  if (!mount.readOnly) out.push(cause.forbidden(path, 'may only be specified when readOnly is true'));
  if (mount.mountPropagation !== undefined && mount.mountPropagation !== 'None') {
    out.push(cause.forbidden(path, 'may only be specified when mountPropagation is None or not specified'));
  }
};

const checkMounts = (out: Causes, path: string, c: Container, volumes: ReadonlyMap<string, Volume>): void => {
  const points = new Set<string>();
  c.volumeMounts?.forEach((mount, i) => {
    const where = at(path, i);
    const target = mount.mountPath ?? '';
    required(out, `${where}.name`, mount.name);
    if (!volumes.has(mount.name)) out.push(cause.notFound(`${where}.name`, mount.name ?? ''));
    required(out, `${where}.mountPath`, target);
    if (points.has(target)) out.push(cause.invalid(`${where}.mountPath`, target, 'must be unique'));
    points.add(target);
    if (c.volumeDevices?.some((d) => d.name === mount.name)) {
      out.push(cause.invalid(`${where}.name`, mount.name, 'must not already exist in volumeDevices'));
    }
    if (c.volumeDevices?.some((d) => d.devicePath === target)) {
      out.push(cause.invalid(`${where}.mountPath`, target, 'must not already exist as a path in volumeDevices'));
    }
    if (mount.subPath) descendingPath(out, `${path}.subPath`, mount.subPath);
    if (mount.subPathExpr) {
      const detail = 'subPathExpr and subPath are mutually exclusive';
      if (mount.subPath) out.push(cause.invalid(`${where}.subPathExpr`, mount.subPathExpr, detail));
      descendingPath(out, `${path}.subPathExpr`, mount.subPathExpr);
    }
    const propagation = mount.mountPropagation;
    oneOf(out, `${path}.mountPropagation`, propagation, ['Bidirectional', 'HostToContainer', 'None']);
    if (propagation === 'Bidirectional' && !c.securityContext?.privileged) {
      const detail = 'Bidirectional mount propagation is available only to privileged containers';
      out.push(cause.forbidden(`${path}.mountPropagation`, detail));
    }
    checkReadOnly(out, `${path}.recursiveReadOnly`, mount);
  });
};

const checkDevices = (out: Causes, path: string, c: Container, volumes: ReadonlyMap<string, Volume>): void => {
  const names = new Set<string>();
  const paths = new Set<string>();
  c.volumeDevices?.forEach((device: VolumeDevice, i) => {
    const where = at(path, i);
    const { name = '', devicePath = '' } = device;
    const volume = volumes.get(name);
    required(out, `${where}.name`, name);
    if (names.has(name)) out.push(cause.invalid(`${where}.name`, name, 'must be unique'));
    if (volume && !volume.persistentVolumeClaim && !volume.ephemeral) {
      const detail = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      out.push(cause.invalid(`${where}.name`, name, detail));
    }
    if (!volume) out.push(cause.notFound(`${where}.name`, name));
    required(out, `${where}.devicePath`, devicePath);
    if (paths.has(devicePath)) out.push(cause.invalid(`${where}.devicePath`, devicePath, 'must be unique'));
    if (devicePath.split('/').includes('..')) {
      out.push(cause.invalid(`${where}.devicePath`, devicePath, "can not contain backsteps ('..')"));
    } else paths.add(devicePath);
    if (c.volumeMounts?.some((m) => m.name === name)) {
      out.push(cause.invalid(`${where}.name`, name, 'must not already exist in volumeMounts'));
    }
    if (c.volumeMounts?.some((m) => m.mountPath === devicePath)) {
      out.push(cause.invalid(`${where}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts'));
    }
    if (name) names.add(name);
  });
};

const checkResizePolicy = (out: Causes, path: string, c: Container, podPolicy: string | undefined): void => {
  const seen = new Set<string>();
  c.resizePolicy?.forEach((policy, i) => {
    if (seen.has(policy.resourceName)) out.push(cause.duplicate(at(path, i), policy.resourceName));
    seen.add(policy.resourceName);
    requiredOneOf(out, path, policy.resourceName, ['cpu', 'memory']);
    requiredOneOf(out, path, policy.restartPolicy, ['NotRequired', 'RestartContainer']);
    if (podPolicy === 'Never' && policy.restartPolicy !== 'NotRequired') {
      const detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
      out.push(cause.invalid(path, policy.restartPolicy, detail));
    }
  });
};

const checkCommon = (out: Causes, path: string, c: Container, around: Surroundings): void => {
  if (required(out, `${path}.name`, c.name)) checkDnsLabel(out, `${path}.name`, c.name);
  required(out, `${path}.image`, c.image);
  const policies = ['File', 'FallbackToLogsOnError'];
  requiredOneOf(out, `${path}.terminationMessagePolicy`, c.terminationMessagePolicy, policies);
  checkPorts(out, `${path}.ports`, c.ports);
  checkEnv(out, `${path}.env`, c.env);
  checkEnvFrom(out, `${path}.envFrom`, c.envFrom);
  checkMounts(out, `${path}.volumeMounts`, c, around.volumes);
  checkDevices(out, `${path}.volumeDevices`, c, around.volumes);
  requiredOneOf(out, `${path}.imagePullPolicy`, c.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']);
  checkRequirements(out, `${path}.resources`, c.resources, around.claims);
  checkResizePolicy(out, `${path}.resizePolicy`, c, around.spec.restartPolicy);
  checkSecurity(out, `${path}.securityContext`, c.securityContext, around.hostUsers);
};

/** restartPolicy and restartPolicyRules of a container (KEP-5307). */
const checkRestart = (out: Causes, path: string, c: Container): void => {
  const rules = c.restartPolicyRules ?? [];
  const where = `${path}.restartPolicy`;
  if (c.restartPolicy === undefined) {
    if (rules.length) out.push(cause.required(where, 'must specify restartPolicy when restart rules are used'));
  } else oneOf(out, where, c.restartPolicy, ['Always', 'Never', 'OnFailure']);
  if (rules.length > 20) out.push(cause.tooMany(`${path}.restartPolicyRules`, rules.length, 20));
  rules.forEach((rule, i) => {
    const at1 = at(`${path}.restartPolicyRules`, i);
    oneOf(out, `${at1}.action`, rule.action ?? '', ['Restart', 'RestartAllContainers']);
    if (!rule.exitCodes) {
      out.push(cause.required(`${at1}.exitCodes`, 'must be specified'));
      return;
    }
    oneOf(out, `${at1}.exitCodes.operator`, rule.exitCodes.operator ?? '', ['In', 'NotIn']);
    const count = rule.exitCodes.values?.length ?? 0;
    if (count > 255) out.push(cause.tooMany(`${at1}.exitCodes.values`, count, 255));
  });
};

/** spec.containers: at least one. */
export const checkContainers = (out: Causes, path: string, around: Surroundings): void => {
  const { spec } = around;
  const containers = spec.containers ?? [];
  if (containers.length === 0) out.push(cause.required(path));
  const names = new Set<string>();
  const grace = spec.terminationGracePeriodSeconds;
  containers.forEach((c, i) => {
    const where = at(path, i);
    checkCommon(out, where, c, around);
    if (names.has(c.name)) out.push(cause.duplicate(`${where}.name`, c.name));
    names.add(c.name);
    if (c.lifecycle) checkLifecycle(out, `${where}.lifecycle`, c.lifecycle, grace, spec.os);
    checkProbes(out, where, c, grace);
    checkRestart(out, where, c);
  });
  hostPortsOnce(out, path, containers);
};

const ONLY_SIDECARS = 'may not be set for init containers without restartPolicy=Always';

/** spec.initContainers: only those that go on running (sidecars) may have probes and hooks. */
export const checkInitContainers = (out: Causes, path: string, around: Surroundings): void => {
  const { spec } = around;
  const names = new Set((spec.containers ?? []).map((c) => c.name));
  const grace = spec.terminationGracePeriodSeconds;
  spec.initContainers?.forEach((c, i) => {
    const where = at(path, i);
    const sidecar = c.restartPolicy === 'Always';
    checkCommon(out, where, c, around);
    checkRestart(out, where, c);
    if (names.has(c.name)) out.push(cause.duplicate(`${where}.name`, c.name));
    if (c.name) names.add(c.name);
    hostPortsOnce(out, path, [c]);
    if (sidecar) {
      if (c.lifecycle) checkLifecycle(out, `${where}.lifecycle`, c.lifecycle, grace, spec.os);
      checkProbes(out, where, c, grace);
      return;
    }
    for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
      if (c[field]) out.push(cause.forbidden(`${where}.${field}`, ONLY_SIDECARS));
    }
    c.resizePolicy?.forEach((policy, n) => {
      if (policy.restartPolicy !== 'RestartContainer') return;
      const detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
      out.push(cause.invalid(`${at(`${where}.resizePolicy`, n)}.restartPolicy`, policy.restartPolicy, detail));
    });
  });
};

const NOT_EPHEMERAL = [
  'ports',
  'resources',
  'lifecycle',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
] as const satisfies readonly (keyof EphemeralContainer)[];
const EPHEMERAL = 'cannot be set for an Ephemeral Container';

const isSet = (value: unknown): boolean =>
  value !== undefined && (typeof value !== 'object' || value === null || Object.keys(value).length > 0);

/** spec.ephemeralContainers: no ports, probes, resources or subpaths. */
export const checkEphemeralContainers = (out: Causes, path: string, around: Surroundings): void => {
  const { spec } = around;
  if (!spec.ephemeralContainers?.length) return;
  const others = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.name));
  const names = new Set(others);
  spec.ephemeralContainers.forEach((c, i) => {
    const where = at(path, i);
    checkCommon(out, where, c as Container, around);
    checkImageSpace(out, where, c.image);
    if (names.has(c.name)) out.push(cause.duplicate(`${where}.name`, c.name));
    names.add(c.name);
    const target = c.targetContainerName;
    if (target && !others.has(target)) out.push(cause.notFound(`${where}.targetContainerName`, target));
    for (const field of NOT_EPHEMERAL) {
      if (isSet(c[field])) out.push(cause.forbidden(`${where}.${field}`, EPHEMERAL));
    }
    c.volumeMounts?.forEach((mount, n) => {
      const base = at(`${where}.volumeMounts`, n);
      if (mount.subPath) out.push(cause.forbidden(`${base}.subPath`, EPHEMERAL));
      if (mount.subPathExpr) out.push(cause.forbidden(`${base}.subPathExpr`, EPHEMERAL));
    });
  });
};

/** An image may not begin or end with blanks. Pods only. */
export const checkImageSpace = (out: Causes, path: string, image: string | undefined): void => {
  if (image === undefined || image.trim() === image) return;
  out.push(cause.invalid(`${path}.image`, image, 'must not have leading or trailing whitespace'));
};
