import type { Pod, Container as SpecContainer } from '../functions/machinery/kinds.d.ts';
import { type ContainerSecurity, type ImageInfo, RuntimeError } from './runtime/runtime.ts';

const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
];

const seccomp = (pod: Pod, container: SpecContainer): ContainerSecurity['seccomp'] => {
  const profile = container.securityContext?.seccompProfile ?? pod.spec?.securityContext?.seccompProfile;
  if (container.securityContext?.privileged || !profile) return 'Unconfined';
  if (profile.type === 'Localhost') return { localhost: profile.localhostProfile ?? '' };
  return profile.type === 'RuntimeDefault' ? 'RuntimeDefault' : 'Unconfined';
};

const checkNonRoot = (pod: Pod, container: SpecContainer, image: ImageInfo, user: number | undefined): void => {
  const wanted = container.securityContext?.runAsNonRoot ?? pod.spec?.securityContext?.runAsNonRoot;
  if (!wanted) return;
  const where = `(pod: "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})", container: ${container.name})`;
  const fail = (message: string) => new RuntimeError('CreateContainerConfigError', `${message} ${where}`);
  if (user !== undefined) {
    if (user === 0) throw fail("container's runAsUser breaks non-root policy");
    return;
  }
  if (image.username) {
    throw fail(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root`,
    );
  }
  if ((image.uid ?? 0) === 0) throw fail('container has runAsNonRoot and image will run as root');
};

/** Pod and container security contexts merged, the container's first. Throws CreateContainerConfigError for runAsNonRoot. */
export const containerSecurity = (pod: Pod, container: SpecContainer, image: ImageInfo): ContainerSecurity => {
  const own = container.securityContext ?? {};
  const shared = pod.spec?.securityContext ?? {};
  const runAsUser = own.runAsUser ?? shared.runAsUser;
  const runAsGroup = own.runAsGroup ?? shared.runAsGroup;
  checkNonRoot(pod, container, image, runAsUser);
  const groups = [...(shared.supplementalGroups ?? []), ...(shared.fsGroup === undefined ? [] : [shared.fsGroup])];
  const user = runAsUser ?? image.uid;
  return {
    privileged: own.privileged ?? false,
    ...(user !== undefined && { runAsUser: user }),
    ...(user === undefined && image.username && { runAsUsername: image.username }),
    ...(runAsGroup !== undefined && { runAsGroup }),
    supplementalGroups: groups,
    readOnlyRootFilesystem: own.readOnlyRootFilesystem ?? false,
    addCapabilities: own.capabilities?.add ?? [],
    dropCapabilities: own.capabilities?.drop ?? [],
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    seccomp: seccomp(pod, container),
    ...(!own.privileged && own.procMount !== 'Unmasked' && { maskedPaths }),
  };
};
