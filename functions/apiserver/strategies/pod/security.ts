// Security contexts of pods and containers. Privileged containers are allowed, as in every usual cluster.
import type {
  AppArmorProfile,
  Container,
  PodSecurityContext,
  PodSpec,
  SeccompProfile,
  SecurityContext,
  WindowsSecurityContextOptions,
} from '../../../machinery/kinds.d.ts';
import { cause } from '../../../machinery/status.ts';
import { at, type Causes, checkSubdomain, oneOf } from '../checks.ts';
import { descendingPath } from './paths.ts';

const PROFILES = ['Localhost', 'RuntimeDefault', 'Unconfined'];

const checkId = (out: Causes, path: string, id: number | undefined): void => {
  if (id !== undefined && (id < 0 || id > 2147483647)) {
    out.push(cause.invalid(path, id, 'must be between 0 and 2147483647, inclusive'));
  }
};

const checkSeccomp = (out: Causes, path: string, profile: SeccompProfile | undefined): void => {
  if (!profile) return;
  if (!profile.type) out.push(cause.required(`${path}.type`, 'type is required when seccompProfile is set'));
  else oneOf(out, `${path}.type`, profile.type, PROFILES);
  const where = `${path}.localhostProfile`;
  if (profile.type !== 'Localhost') {
    if (profile.localhostProfile === undefined) return;
    out.push(cause.invalid(where, profile, 'can only be set when seccomp type is Localhost'));
  } else if (profile.localhostProfile === undefined) {
    out.push(cause.required(where, 'must be set when seccomp type is Localhost'));
  } else descendingPath(out, where, profile.localhostProfile);
};

const checkAppArmor = (out: Causes, path: string, profile: AppArmorProfile | undefined): void => {
  if (!profile) return;
  const where = `${path}.localhostProfile`;
  const local = profile.localhostProfile;
  if (!profile.type) out.push(cause.required(`${path}.type`, 'type is required when appArmorProfile is set'));
  else if (profile.type === 'Localhost') {
    if (local === undefined || local === '') {
      out.push(cause.required(where, 'must be set when AppArmor type is Localhost'));
    } else {
      if (local.trim() !== local) out.push(cause.invalid(where, local, 'must not be padded with whitespace'));
      if (local.length > 4095) out.push(cause.tooLong(where, 4095));
    }
  } else if (oneOf(out, `${path}.type`, profile.type, PROFILES) && local !== undefined) {
    out.push(cause.invalid(where, local, 'can only be set when AppArmor type is Localhost'));
  }
};

const checkWindowsOptions = (out: Causes, path: string, o: WindowsSecurityContextOptions | undefined): void => {
  if (!o) return;
  if (o.gmsaCredentialSpecName !== undefined)
    checkSubdomain(out, `${path}.gmsaCredentialSpecName`, o.gmsaCredentialSpecName);
  const spec = o.gmsaCredentialSpec;
  const specPath = `${path}.gmsaCredentialSpec`;
  if (spec === '') out.push(cause.invalid(specPath, spec, 'gmsaCredentialSpec cannot be an empty string'));
  else if (spec && spec.length > 65536) out.push(cause.invalid(specPath, spec, 'size must be under 64 KiB'));
  const name = o.runAsUserName;
  const where = `${path}.runAsUserName`;
  if (name === undefined) return;
  const parts = name.split('\\');
  const user = parts.at(-1) ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (name === '' || /[\u0000-\u001f\u007f]/.test(name))
    out.push(cause.invalid(where, name, 'runAsUserName is not valid'));
  else if (parts.length > 2)
    out.push(cause.invalid(where, name, 'runAsUserName cannot contain more than one backslash'));
  else if (user === '' || user.length > 104 || /["/\\:;|=,+*?<>@[\]]/.test(user) || /^[. ]+$/.test(user)) {
    out.push(cause.invalid(where, name, 'runAsUserName has an invalid User'));
  }
};

/** A container's securityContext. */
export const checkSecurity = (out: Causes, path: string, sc: SecurityContext | undefined, hostUsers: boolean): void => {
  if (!sc) return;
  checkId(out, `${path}.runAsUser`, sc.runAsUser);
  checkId(out, `${path}.runAsGroup`, sc.runAsGroup);
  if (sc.procMount !== undefined) {
    oneOf(out, `${path}.procMount`, sc.procMount, ['Default', 'Unmasked']);
    if (hostUsers && sc.procMount === 'Unmasked') {
      const detail = '`hostUsers` must be false to use `Unmasked`';
      out.push(cause.invalid(`${path}.procMount`, sc.procMount, detail));
    }
  }
  checkSeccomp(out, `${path}.seccompProfile`, sc.seccompProfile);
  if (sc.allowPrivilegeEscalation === false) {
    if (sc.privileged) {
      out.push(cause.invalid(path, sc, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    }
    if (sc.capabilities?.add?.includes('CAP_SYS_ADMIN')) {
      const detail = 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN';
      out.push(cause.invalid(path, sc, detail));
    }
  }
  checkWindowsOptions(out, `${path}.windowsOptions`, sc.windowsOptions);
  checkAppArmor(out, `${path}.appArmorProfile`, sc.appArmorProfile);
};

const SYSCTL = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/;
const isNet = (name: string): boolean => /^net[./]/.test(name);
const isIpc = (name: string): boolean => /^(kernel[./](shm|msg|sem)|fs[./]mqueue[./])/.test(name);

const checkSysctls = (out: Causes, path: string, spec: PodSpec, list: PodSecurityContext['sysctls']): void => {
  const seen = new Set<string>();
  list?.forEach((s, i) => {
    const where = `${at(path, i)}.name`;
    if (!s.name) out.push(cause.required(where));
    else if (s.name.length > 253 || !SYSCTL.test(s.name)) {
      out.push(cause.invalid(where, s.name, `must have at most 253 characters and match regex ${SYSCTL.source}`));
    } else if (seen.has(s.name)) out.push(cause.duplicate(where, s.name));
    const name = s.name ?? '';
    if (spec.hostNetwork && isNet(name)) {
      out.push(cause.invalid(where, name, "may not be specified when 'hostNetwork' is true"));
    } else if (spec.hostIPC && isIpc(name)) {
      out.push(cause.invalid(where, name, "may not be specified when 'hostIPC' is true"));
    }
    seen.add(name);
  });
};

/** The pod's securityContext, with the fields of the spec that upstream keeps in it. */
export const checkPodSecurity = (out: Causes, path: string, spec: PodSpec): void => {
  const sc = spec.securityContext;
  if (spec.shareProcessNamespace && spec.hostPID) {
    const detail = 'ShareProcessNamespace and HostPID cannot both be enabled';
    out.push(cause.invalid(`${path}.shareProcessNamespace`, true, detail));
  }
  if (!sc) return;
  checkId(out, `${path}.fsGroup`, sc.fsGroup);
  checkId(out, `${path}.runAsUser`, sc.runAsUser);
  checkId(out, `${path}.runAsGroup`, sc.runAsGroup);
  sc.supplementalGroups?.forEach((id, i) => {
    checkId(out, at(`${path}.supplementalGroups`, i), id);
  });
  checkSysctls(out, `${path}.sysctls`, spec, sc.sysctls);
  oneOf(out, `${path}.fsGroupChangePolicy`, sc.fsGroupChangePolicy, ['Always', 'OnRootMismatch']);
  checkSeccomp(out, `${path}.seccompProfile`, sc.seccompProfile);
  checkWindowsOptions(out, `${path}.windowsOptions`, sc.windowsOptions);
  checkAppArmor(out, `${path}.appArmorProfile`, sc.appArmorProfile);
  oneOf(out, `${path}.supplementalGroupsPolicy`, sc.supplementalGroupsPolicy, ['Merge', 'Strict']);
  oneOf(out, `${path}.seLinuxChangePolicy`, sc.seLinuxChangePolicy, ['MountOption', 'Recursive']);
};

const NOT_ON_WINDOWS = 'cannot be set for a windows pod';
const WINDOWS_POD = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
  'seLinuxChangePolicy',
] as const;
const WINDOWS_CONTAINER = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
] as const;

/** Every container of a pod with its path, init ones first as upstream visits them. */
export const eachContainer = (spec: PodSpec, path: string, visit: (c: Container, path: string) => void): void => {
  spec.initContainers?.forEach((c, i) => {
    visit(c, at(`${path}.initContainers`, i));
  });
  spec.containers?.forEach((c, i) => {
    visit(c, at(`${path}.containers`, i));
  });
  spec.ephemeralContainers?.forEach((c, i) => {
    visit(c as Container, at(`${path}.ephemeralContainers`, i));
  });
};

/** What spec.os.name forbids: Linux settings on Windows and the other way round. */
export const checkOsFields = (out: Causes, path: string, spec: PodSpec): void => {
  const sc = spec.securityContext;
  if (spec.os?.name === 'windows') {
    for (const field of ['hostUsers', 'shareProcessNamespace'] as const) {
      if (spec[field] !== undefined) out.push(cause.forbidden(`${path}.${field}`, NOT_ON_WINDOWS));
    }
    for (const field of ['hostPID', 'hostIPC'] as const) {
      if (spec[field]) out.push(cause.forbidden(`${path}.${field}`, NOT_ON_WINDOWS));
    }
    for (const field of WINDOWS_POD) {
      if (sc?.[field] !== undefined) out.push(cause.forbidden(`${path}.securityContext.${field}`, NOT_ON_WINDOWS));
    }
    eachContainer(spec, path, (c, where) => {
      for (const field of WINDOWS_CONTAINER) {
        if (c.securityContext?.[field] === undefined) continue;
        out.push(cause.forbidden(`${where}.securityContext.${field}`, NOT_ON_WINDOWS));
      }
    });
    return;
  }
  const detail = 'windows options cannot be set for a linux pod';
  if (sc?.windowsOptions) out.push(cause.forbidden(`${path}.securityContext.windowsOptions`, detail));
  eachContainer(spec, path, (c, where) => {
    if (c.securityContext?.windowsOptions) out.push(cause.forbidden(`${where}.securityContext.windowsOptions`, detail));
  });
};
