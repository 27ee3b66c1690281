// The spec of a pod or of a pod template (upstream's ValidatePodSpec).
import type { ObjectMeta, PodSpec, PodTemplateSpec } from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import {
  at,
  type Causes,
  checkAnnotations,
  checkDnsLabel,
  checkIP,
  checkLabelName,
  checkLabels,
  checkPreemption,
  checkSubdomain,
  invalidEach,
  oneOf,
  required,
  requiredOneOf,
} from '../checks.ts';
import { dnsSubdomain, dnsSubdomainUnderscore } from '../names.ts';
import { checkPodAnnotations, checkProfilesMatch } from './annotations.ts';
import {
  checkContainers,
  checkEphemeralContainers,
  checkImageSpace,
  checkInitContainers,
  type Surroundings,
} from './containers.ts';
import { checkOverhead, checkPodResources } from './resources.ts';
import { checkAffinity, checkSpread, checkTolerations } from './scheduling.ts';
import { checkOsFields, checkPodSecurity, eachContainer } from './security.ts';
import { checkVolumes } from './volumes.ts';

const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

const checkClaims = (out: Causes, path: string, spec: PodSpec): Set<string> => {
  const names = new Set<string>();
  spec.resourceClaims?.forEach((claim, i) => {
    const where = at(path, i);
    if (required(out, `${where}.name`, claim.name)) {
      if (names.has(claim.name)) out.push(cause.duplicate(`${where}.name`, claim.name));
      else checkDnsLabel(out, `${where}.name`, claim.name);
      names.add(claim.name);
    }
    const { resourceClaimName: name, resourceClaimTemplateName: template } = claim;
    if (name !== undefined && template !== undefined) {
      const detail = 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified';
      out.push(cause.invalid(where, claim, detail));
    } else if (name === undefined && template === undefined) {
      const detail = 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`';
      out.push(cause.invalid(where, claim, detail));
    }
    if (name !== undefined) checkSubdomain(out, `${where}.resourceClaimName`, name);
    if (template !== undefined) checkSubdomain(out, `${where}.resourceClaimTemplateName`, template);
  });
  return names;
};

const checkHostPorts = (out: Causes, path: string, spec: PodSpec, isPod: boolean): void => {
  if (!spec.hostNetwork) return;
  spec.containers?.forEach((c, i) => {
    c.ports?.forEach((port, n) => {
      const host = port.hostPort ?? 0;
      if ((!isPod && host === 0) || host === (port.containerPort ?? 0)) return;
      const where = `${at(`${at(`${path}.containers`, i)}.ports`, n)}.hostPort`;
      out.push(cause.invalid(where, host, 'must match `containerPort` when `hostNetwork` is true'));
    });
  });
};

const checkDnsConfig = (out: Causes, path: string, spec: PodSpec): void => {
  const config = spec.dnsConfig;
  if (spec.dnsPolicy === 'None') {
    if (!config) {
      out.push(cause.required(path, 'must provide `dnsConfig` when `dnsPolicy` is None'));
      return;
    }
    if (!config.nameservers?.length) {
      const detail = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
      out.push(cause.required(`${path}.nameservers`, detail));
      return;
    }
  }
  if (!config) return;
  const { nameservers = [], searches = [], options = [] } = config;
  if (nameservers.length > 3) {
    out.push(cause.invalid(`${path}.nameservers`, nameservers, 'must not have more than 3 nameservers'));
  }
  nameservers.forEach((ip, i) => {
    checkIP(out, at(`${path}.nameservers`, i), ip);
  });
  if (searches.length > 32) {
    out.push(cause.invalid(`${path}.searches`, searches, 'must not have more than 32 search paths'));
  }
  if (searches.join(' ').length > 2048) {
    const detail = 'must not have more than 2048 characters (including spaces) in the search list';
    out.push(cause.invalid(`${path}.searches`, searches, detail));
  }
  searches.forEach((search, i) => {
    if (search === '.') return;
    invalidEach(out, at(`${path}.searches`, i), search, dnsSubdomainUnderscore(search.replace(/\.$/, '')));
  });
  options.forEach((option, i) => {
    if (!option.name) out.push(cause.required(at(`${path}.options`, i), 'must not be empty'));
  });
};

const checkGates = (out: Causes, path: string, spec: PodSpec): void => {
  spec.readinessGates?.forEach((gate, i) => {
    checkLabelName(out, `${at(`${path}.readinessGates`, i)}.conditionType`, gate.conditionType);
  });
  const seen = new Set<string>();
  spec.schedulingGates?.forEach((gate, i) => {
    const where = at(`${path}.schedulingGates`, i);
    checkLabelName(out, where, gate.name);
    if (seen.has(gate.name)) out.push(cause.duplicate(where, gate.name));
    seen.add(gate.name);
  });
};

const checkHostProcess = (out: Causes, path: string, spec: PodSpec): void => {
  const pod = spec.securityContext?.windowsOptions?.hostProcess;
  let all = 0;
  let host = 0;
  eachContainer(spec, path, (c, where) => {
    all++;
    const own = c.securityContext?.windowsOptions?.hostProcess;
    if (own ?? pod) host++;
    if (own === undefined || pod === undefined || own === pod) return;
    const detail = `pod hostProcess value must be identical if both are specified, was ${pod}`;
    out.push(cause.invalid(`${where}.securityContext.windowsOptions.hostProcess`, own, detail));
  });
  if (host === 0) return;
  if (host !== all) {
    const detail = 'If pod contains any hostProcess containers then all containers must be HostProcess containers';
    out.push(cause.invalid(path, '', detail));
  }
  if (!spec.hostNetwork) {
    const detail = 'hostNetwork must be true if pod contains any hostProcess containers';
    out.push(cause.invalid(`${path}.hostNetwork`, false, detail));
  }
};

const checkHostUsers = (out: Causes, path: string, spec: PodSpec): void => {
  if (spec.hostUsers !== false) return;
  const detail = 'when `hostUsers` is false';
  if (spec.hostNetwork) out.push(cause.forbidden(`${path}.hostNetwork`, detail));
  if (spec.hostPID) out.push(cause.forbidden(`${path}.HostPID`, detail));
  if (spec.hostIPC) out.push(cause.forbidden(`${path}.HostIPC`, detail));
  eachContainer(spec, path, (c, where) => {
    if (c.volumeDevices?.length) out.push(cause.forbidden(`${where}.volumeDevices`, detail));
  });
};

const checkNames = (out: Causes, path: string, spec: PodSpec): void => {
  const override = spec.hostnameOverride;
  if (override !== undefined) {
    const where = `${path}.hostnameOverride`;
    if (spec.setHostnameAsFQDN) out.push(cause.forbidden(where, 'may not be specified when setHostnameAsFQDN is true'));
    if (spec.hostNetwork) out.push(cause.forbidden(where, 'may not be specified when hostNetwork is true'));
    if (override.length > 64) out.push(cause.tooLong(where, 64));
    checkSubdomain(out, where, override);
  }
  for (const field of ['serviceAccountName', 'nodeName'] as const) {
    const value = spec[field];
    if (value) invalidEach(out, `${path}.${field}`, value, dnsSubdomain(value));
  }
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 2147483647)) {
    out.push(cause.invalid(`${path}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'));
  }
  if (spec.hostname) checkDnsLabel(out, `${path}.hostname`, spec.hostname);
  if (spec.subdomain) checkDnsLabel(out, `${path}.subdomain`, spec.subdomain);
};

const checkFileKeys = (out: Causes, path: string, spec: PodSpec): void => {
  eachContainer(spec, path, (c, where) => {
    c.env?.forEach((variable, i) => {
      const ref = variable.valueFrom?.fileKeyRef;
      if (!ref) return;
      const field = `${at(`${where}.env`, i)}.valueFrom.fileKeyRef.volumeName`;
      const volume = spec.volumes?.find((v) => v.name === ref.volumeName);
      if (!volume) out.push(cause.notFound(field, ref.volumeName));
      else if (!volume.emptyDir) {
        out.push(cause.invalid(field, ref.volumeName, 'referenced volume must be of type emptyDir'));
      }
    });
  });
};

const checkRest = (out: Causes, path: string, spec: PodSpec): void => {
  checkTolerations(out, `${path}.tolerations`, spec.tolerations);
  spec.hostAliases?.forEach((alias, i) => {
    const where = at(`${path}.hostAliases`, i);
    checkIP(out, `${where}.ip`, alias.ip ?? '');
    alias.hostnames?.forEach((name, n) => {
      checkSubdomain(out, at(`${where}.hostnames`, n), name);
    });
  });
  if (spec.priorityClassName) checkSubdomain(out, `${path}.priorityClassName`, spec.priorityClassName);
  if (spec.runtimeClassName !== undefined) checkSubdomain(out, `${path}.runtimeClassName`, spec.runtimeClassName);
  checkPreemption(out, `${path}.preemptionPolicy`, spec.preemptionPolicy);
  checkOverhead(out, `${path}.overhead`, spec.overhead);
  if (!spec.os) return;
  const valid =
    required(out, `${path}.os.name`, spec.os.name) && oneOf(out, `${path}.os`, spec.os.name, ['linux', 'windows']);
  if (valid) checkOsFields(out, path, spec);
};

/** Every rule of a PodSpec; `pod` is the pod's metadata, absent for a template. */
export const checkPodSpec = (out: Causes, path: string, spec: PodSpec, pod?: ObjectMeta): void => {
  const volumes = checkVolumes(out, `${path}.volumes`, spec.volumes, pod);
  const claims = checkClaims(out, `${path}.resourceClaims`, spec);
  const around: Surroundings = { spec, volumes, claims, hostUsers: spec.hostUsers !== false };
  checkContainers(out, `${path}.containers`, around);
  checkInitContainers(out, `${path}.initContainers`, around);
  checkEphemeralContainers(out, `${path}.ephemeralContainers`, around);
  checkPodResources(out, path, spec);
  checkHostPorts(out, path, spec, pod !== undefined);
  requiredOneOf(out, `${path}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']);
  requiredOneOf(out, `${path}.dnsPolicy`, spec.dnsPolicy, DNS_POLICIES);
  checkLabels(out, `${path}.nodeSelector`, spec.nodeSelector);
  checkPodSecurity(out, `${path}.securityContext`, spec);
  checkAffinity(out, `${path}.affinity`, spec.affinity);
  checkDnsConfig(out, `${path}.dnsConfig`, spec);
  checkGates(out, path, spec);
  checkSpread(out, `${path}.topologySpreadConstraints`, spec.topologySpreadConstraints);
  checkHostProcess(out, path, spec);
  checkHostUsers(out, path, spec);
  checkNames(out, path, spec);
  checkRest(out, path, spec);
  checkFileKeys(out, path, spec);
};

/** A pod template's own rules: metadata, spec, and no ephemeral containers. */
export const checkTemplate = (out: Causes, path: string, template: PodTemplateSpec | undefined): void => {
  const labels = template?.metadata?.labels;
  const annotations = template?.metadata?.annotations;
  const spec = template?.spec ?? ({} as PodSpec);
  checkLabels(out, `${path}.labels`, labels);
  checkAnnotations(out, `${path}.annotations`, annotations);
  checkPodAnnotations(out, `${path}.annotations`, annotations, spec);
  checkPodSpec(out, `${path}.spec`, spec);
  checkProfilesMatch(out, `${path}.spec`, annotations, spec);
  if (spec.ephemeralContainers?.length) {
    out.push(cause.forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  }
};

/** What holds for pods and not for templates: no blanks around images, no token volume without an account. */
export const checkOnlyPod = (out: Causes, path: string, spec: PodSpec): void => {
  if (!spec.serviceAccountName) {
    spec.volumes?.forEach((volume, i) => {
      volume.projected?.sources?.forEach((source, n) => {
        if (!source.serviceAccountToken) return;
        const where = at(`${at(`${path}.volumes`, i)}.projected.sources`, n);
        const detail = 'must not be specified when serviceAccountName is not set';
        out.push(cause.forbidden(`${where}.serviceAccountToken`, detail));
      });
    });
  }
  spec.containers?.forEach((c, i) => {
    checkImageSpace(out, at(`${path}.containers`, i), c.image);
  });
  spec.initContainers?.forEach((c, i) => {
    checkImageSpace(out, at(`${path}.initContainers`, i), c.image);
  });
};
