import type { Container, Pod, PodSpec, Probe, ResourceRequirements, Volume } from '../../../machinery/kinds.d.ts';
import type { KubeObject } from '../../../machinery/object.ts';
import { defaultPullPolicy } from './image-tag.ts';
import { defaultPodResources } from './pod-level-resources.ts';

const probeDefaults = (probe: Probe | undefined): void => {
  if (!probe) return;
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet) {
    probe.httpGet.path ||= '/';
    probe.httpGet.scheme ||= 'HTTP';
  }
};

const containerDefaults = (c: Container): void => {
  c.imagePullPolicy ||= defaultPullPolicy(c.image);
  c.terminationMessagePath ||= '/dev/termination-log';
  c.terminationMessagePolicy ||= 'File';
  if (c.ports) for (const port of c.ports) port.protocol ||= 'TCP';
  probeDefaults(c.livenessProbe);
  probeDefaults(c.readinessProbe);
  probeDefaults(c.startupProbe);
  const { lifecycle } = c;
  if (lifecycle) {
    for (const handler of [lifecycle.postStart, lifecycle.preStop]) {
      if (!handler?.httpGet) continue;
      handler.httpGet.path ||= '/';
      handler.httpGet.scheme ||= 'HTTP';
    }
  }
};

/** A volume that names no source is an emptyDir; an image volume's pull policy follows its tag, as a container's does. */
const volumeDefaults = (volume: Volume): void => {
  let sourced = false;
  for (const key in volume) {
    if (key !== 'name' && volume[key as keyof Volume] !== undefined) {
      sourced = true;
      break;
    }
  }
  if (!sourced) volume.emptyDir = {};
  if (volume.image && !volume.image.pullPolicy) volume.image.pullPolicy = defaultPullPolicy(volume.image.reference);
  if (volume.azureDisk) azureDefaults(volume.azureDisk);
  if (volume.hostPath) volume.hostPath.type ??= '';
};

const azureDefaults = (disk: NonNullable<Volume['azureDisk']>): void => {
  disk.cachingMode ??= 'ReadWrite';
  disk.kind ??= 'Shared';
  disk.fsType ??= 'ext4';
  disk.readOnly ??= false;
};

/** Defaults of every PodSpec, in pods and templates alike (Kubernetes' SetDefaults_PodSpec, _Container, _Volume). */
export const podSpecDefaults = (spec: PodSpec | undefined): void => {
  if (!spec) return;
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= 'default-scheduler';
  // serviceAccount is the old name of serviceAccountName; both are always written with the same value.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  if (spec.containers) for (const c of spec.containers) containerDefaults(c);
  if (spec.initContainers) for (const c of spec.initContainers) containerDefaults(c);
  if (spec.ephemeralContainers) for (const c of spec.ephemeralContainers) containerDefaults(c as Container);
  if (spec.volumes) for (const v of spec.volumes) volumeDefaults(v);
};

/** Limits stand for the requests that are not given. Pods only: templates keep what was written. */
const requestsFromLimits = (resources: ResourceRequirements | undefined): void => {
  if (!resources?.limits) return;
  resources.requests ??= {};
  const { requests } = resources;
  for (const name in resources.limits) requests[name] ??= resources.limits[name] as string;
};

const hostPorts = (containers: Container[] | undefined): void => {
  for (const c of containers ?? []) for (const port of c.ports ?? []) port.hostPort ||= port.containerPort;
};

/** Defaults that hold in a Pod and not in a template (SetDefaults_Pod). */
export const podDefaults = (object: KubeObject): void => {
  const { spec, status } = object as Pod;
  if (status?.podIP && !status.podIPs?.length) status.podIPs = [{ ip: status.podIP }];
  if (!spec) return;
  podSpecDefaults(spec);
  for (const c of spec.containers ?? []) requestsFromLimits(c.resources);
  for (const c of spec.initContainers ?? []) requestsFromLimits(c.resources);
  if (spec.resources) defaultPodResources(spec);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork) {
    hostPorts(spec.containers);
    hostPorts(spec.initContainers);
  }
};
