import { describe, expect, it } from 'vitest';
import type { PodSpec } from '../../../machinery/kinds.d.ts';
import { detailText, violations } from './levels.ts';
import type { Level, LevelVersion } from './policy.ts';

const told = (
  level: Level,
  spec: object,
  version: LevelVersion['version'] = 'latest',
  annotations: Record<string, string> = {},
): string => detailText(violations({ level, version }, { annotations, spec: spec as PodSpec }));

/** A pod that restricted takes, with its only container changed. */
const strict = (container: object = {}, pod: object = {}) => {
  const { securityContext, ...rest } = pod as { securityContext?: object };
  const own = (container as { securityContext?: object }).securityContext;
  return {
    ...rest,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' }, ...securityContext },
    containers: [
      {
        name: 'c',
        ...container,
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, ...own },
      },
    ],
  };
};
const one = (securityContext: object) => ({ containers: [{ name: 'c', securityContext }] });

describe('baseline, since the first version', () => {
  it.each<[string, object, string]>([
    ['nothing of the node', { containers: [{ name: 'c' }] }, ''],
    [
      'host namespaces',
      { hostNetwork: true, hostPID: true, hostIPC: true },
      'host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)',
    ],
    [
      'hostPath',
      {
        volumes: [
          { name: 'v', hostPath: { path: '/' } },
          { name: 'w', hostPath: {} },
        ],
      },
      'hostPath volumes (volumes "v", "w")',
    ],
    [
      'a host port',
      { containers: [{ name: 'c', ports: [{ containerPort: 1, hostPort: 80 }] }] },
      'hostPort (container "c" uses hostPort 80)',
    ],
    [
      'host ports of several',
      {
        initContainers: [{ name: 'i', ports: [{ hostPort: 90 }] }],
        containers: [{ name: 'c', ports: [{ hostPort: 80 }] }],
      },
      'hostPort (containers "i", "c" use hostPorts 80, 90)',
    ],
    ['no host port', { containers: [{ name: 'c', ports: [{ containerPort: 1, hostPort: 0 }] }] }, ''],
    [
      'privileged',
      one({ privileged: true }),
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    ['not privileged', one({ privileged: false }), ''],
    [
      'an ephemeral container that is privileged',
      { ephemeralContainers: [{ name: 'e', securityContext: { privileged: true } }] },
      'privileged (container "e" must not set securityContext.privileged=true)',
    ],
    ['usual capabilities', one({ capabilities: { add: ['CHOWN', 'NET_BIND_SERVICE'] } }), ''],
    [
      'other capabilities',
      one({ capabilities: { add: ['SYS_ADMIN', 'NET_RAW', 'KILL'] } }),
      'non-default capabilities (container "c" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)',
    ],
    ['the default procMount', one({ procMount: 'Default' }), ''],
    [
      'an unmasked procMount',
      one({ procMount: 'Unmasked' }),
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ],
    ['SELinux types for containers', one({ seLinuxOptions: { type: 'container_t', level: 's0' } }), ''],
    [
      'other SELinux options',
      { securityContext: { seLinuxOptions: { user: 'u' } }, ...one({ seLinuxOptions: { type: 'spc_t', role: 'r' } }) },
      'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; role may not be set)',
    ],
    ['a seccomp profile', one({ seccompProfile: { type: 'Localhost' } }), ''],
    [
      'no seccomp',
      { securityContext: { seccompProfile: { type: 'Unconfined' } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    ['an AppArmor profile', one({ appArmorProfile: { type: 'RuntimeDefault' } }), ''],
    [
      'no AppArmor',
      one({ appArmorProfile: { type: 'Unconfined' } }),
      'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
    ],
    ['a safe sysctl', { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_rmem', value: '1' }] } }, ''],
    [
      'other sysctls',
      { securityContext: { sysctls: [{ name: 'kernel.msgmax' }, { name: 'net.core.somaxconn' }] } },
      'forbidden sysctls (kernel.msgmax, net.core.somaxconn)',
    ],
    [
      'a Windows host process',
      { securityContext: { windowsOptions: { hostProcess: true } }, ...one({ windowsOptions: { hostProcess: true } }) },
      'hostProcess (pod and container "c" must not set securityContext.windowsOptions.hostProcess=true)',
    ],
    ['probes of the pod', { containers: [{ name: 'c', livenessProbe: { httpGet: { port: 1 } } }] }, ''],
    [
      'probes of other hosts',
      {
        containers: [
          {
            name: 'c',
            livenessProbe: { httpGet: { host: 'b', port: 1 } },
            lifecycle: { preStop: { tcpSocket: { host: 'a', port: 1 } } },
          },
        ],
      },
      'probe or lifecycle host (container "c" uses probe or lifecycle hosts "a", "b")',
    ],
    [
      'several at once, by name',
      { hostPID: true, ...one({ privileged: true, capabilities: { add: ['BPF'] } }) },
      'non-default capabilities (container "c" must not include "BPF" in securityContext.capabilities.add), host namespaces (hostPID=true), privileged (container "c" must not set securityContext.privileged=true)',
    ],
  ])('%s', (_, spec, wanted) => expect(told('baseline', spec)).toBe(wanted));

  it('AppArmor profiles in annotations', () => {
    const key = 'container.apparmor.security.beta.kubernetes.io/';
    const annotations = { [`${key}a`]: 'localhost/x', [`${key}b`]: 'unconfined', other: 'unconfined' };
    expect(told('baseline', {}, 'latest', annotations)).toBe(
      `forbidden AppArmor profile (annotation must not set AppArmor profile type to "${key}b="unconfined"")`,
    );
  });
});

describe('restricted', () => {
  it.each<[string, object, string]>([
    ['what it asks for', strict(), ''],
    [
      'a plain pod',
      { containers: [{ name: 'a' }, { name: 'b' }] },
      'allowPrivilegeEscalation != false (containers "a", "b" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers "a", "b" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or containers "a", "b" must set securityContext.runAsNonRoot=true), seccompProfile (pod or containers "a", "b" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ],
    [
      'a capability that it allows',
      strict({ securityContext: { capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } } }),
      '',
    ],
    [
      'another one',
      strict({ securityContext: { capabilities: { add: ['CHOWN'] } } }),
      'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add)',
    ],
    [
      'root',
      strict({ securityContext: { runAsUser: 0 } }, { securityContext: { runAsUser: 0 } }),
      'runAsUser=0 (pod and container "c" must not set runAsUser=0)',
    ],
    [
      'non-root taken back',
      strict({ securityContext: { runAsNonRoot: false } }),
      'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
    ],
    [
      'root in a user namespace',
      strict({ securityContext: { runAsUser: 0, runAsNonRoot: false } }, { hostUsers: false }),
      '',
    ],
    [
      'an unmasked procMount in a user namespace',
      strict({ securityContext: { procMount: 'Unmasked' } }, { hostUsers: false }),
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      'a container without seccomp',
      strict({ securityContext: { seccompProfile: { type: 'Unconfined' } } }),
      'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      'allowed volumes',
      strict(
        {},
        {
          volumes: [
            'configMap',
            'csi',
            'downwardAPI',
            'emptyDir',
            'ephemeral',
            'image',
            'persistentVolumeClaim',
            'projected',
            'secret',
          ].map((type) => ({ name: type, [type]: {} })),
        },
      ),
      '',
    ],
    [
      'other volumes',
      strict({}, { volumes: [{ name: 'v', hostPath: {} }, { name: 'w', nfs: {} }, { name: 'x' }] }),
      'restricted volume types (volumes "v", "w", "x" use restricted volume types "hostPath", "nfs", "unknown")',
    ],
    [
      'a Windows pod',
      { os: { name: 'windows' }, securityContext: { runAsNonRoot: true }, containers: [{ name: 'c' }] },
      '',
    ],
  ])('%s', (_, spec, wanted) => expect(told('restricted', spec)).toBe(wanted));
});

describe('versions', () => {
  const root = strict({ securityContext: { runAsUser: 0 } });
  it.each<[string, Level, LevelVersion['version'], object, boolean]>([
    ['probe hosts', 'baseline', 33, { containers: [{ name: 'c', livenessProbe: { httpGet: { host: 'h' } } }] }, true],
    ['probe hosts', 'baseline', 34, { containers: [{ name: 'c', livenessProbe: { httpGet: { host: 'h' } } }] }, false],
    [
      'a reserved port range',
      'baseline',
      26,
      { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports' }] } },
      false,
    ],
    [
      'a reserved port range',
      'baseline',
      27,
      { securityContext: { sysctls: [{ name: 'net.ipv4.ip_local_reserved_ports' }] } },
      true,
    ],
    ['keepalive', 'baseline', 28, { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_keepalive_time' }] } }, false],
    ['keepalive', 'baseline', 29, { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_keepalive_time' }] } }, true],
    ['buffers', 'baseline', 31, { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_wmem' }] } }, false],
    ['buffers', 'baseline', 32, { securityContext: { sysctls: [{ name: 'net.ipv4.tcp_wmem' }] } }, true],
    ['container engines', 'baseline', 30, one({ seLinuxOptions: { type: 'container_engine_t' } }), false],
    ['container engines', 'baseline', 31, one({ seLinuxOptions: { type: 'container_engine_t' } }), true],
    ['procMount in a user namespace', 'baseline', 34, { hostUsers: false, ...one({ procMount: 'Unmasked' }) }, false],
    ['procMount in a user namespace', 'baseline', 35, { hostUsers: false, ...one({ procMount: 'Unmasked' }) }, true],
    ['seccomp by field', 'baseline', 18, one({ seccompProfile: { type: 'Unconfined' } }), true],
    ['seccomp by field', 'baseline', 19, one({ seccompProfile: { type: 'Unconfined' } }), false],
    ['escalation', 'restricted', 7, { ...strict({ securityContext: { allowPrivilegeEscalation: true } }) }, true],
    ['escalation', 'restricted', 8, { ...strict({ securityContext: { allowPrivilegeEscalation: true } }) }, false],
    ['seccomp asked for', 'restricted', 18, strict({}, { securityContext: { seccompProfile: undefined } }), true],
    ['seccomp asked for', 'restricted', 19, strict({}, { securityContext: { seccompProfile: undefined } }), false],
    ['capabilities kept', 'restricted', 21, strict({ securityContext: { capabilities: {} } }), true],
    ['capabilities kept', 'restricted', 22, strict({ securityContext: { capabilities: {} } }), false],
    ['root', 'restricted', 22, root, true],
    ['root', 'restricted', 23, root, false],
    ['root in a user namespace', 'restricted', 34, { ...root, hostUsers: false }, false],
    ['root in a user namespace', 'restricted', 35, { ...root, hostUsers: false }, true],
    [
      'Windows pods',
      'restricted',
      24,
      { os: { name: 'windows' }, securityContext: { runAsNonRoot: true }, containers: [{ name: 'c' }] },
      false,
    ],
    [
      'Windows pods',
      'restricted',
      25,
      { os: { name: 'windows' }, securityContext: { runAsNonRoot: true }, containers: [{ name: 'c' }] },
      true,
    ],
    ['versions to come', 'restricted', 99, root, false],
    ['privileged', 'privileged', 'latest', { hostPID: true }, true],
  ])('%s: %s at v1.%s', (_, level, version, spec, allowed) => expect(told(level, spec, version) === '').toBe(allowed));

  it('seccomp profiles stood in annotations before 1.19', () => {
    const annotations = { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' };
    expect(told('baseline', {}, 18, annotations)).toBe(
      'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")',
    );
    expect(told('baseline', {}, 19, annotations)).toBe('');
  });
});
