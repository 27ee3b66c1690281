import {
  type Check,
  type CheckedPod,
  containersOf,
  containersText,
  isWindows,
  named,
  quoted,
  sorted,
  unless,
  type Violation,
} from './check.ts';

const usual = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

/** Who adds what beyond the allowed ones. */
const adding = (pod: CheckedPod, allowed: (capability: string) => boolean): string | undefined => {
  const over = (added: readonly string[] = []): string[] => added.filter((one) => !allowed(one));
  const names = named(pod, (one) => over(one.securityContext?.capabilities?.add).length > 0);
  if (names.length === 0) return undefined;
  const added = sorted(containersOf(pod).flatMap((one) => over(one.securityContext?.capabilities?.add)));
  return `${containersText(names)} must not include ${quoted(added)} in securityContext.capabilities.add`;
};

const baseline = (pod: CheckedPod): Violation | undefined => {
  const detail = adding(pod, (one) => usual.has(one));
  return detail === undefined ? undefined : { reason: 'non-default capabilities', detail };
};

const restricted = (pod: CheckedPod): Violation | undefined => {
  const keeping = named(pod, (one) => !one.securityContext?.capabilities?.drop?.includes('ALL'));
  const details = [
    keeping.length ? `${containersText(keeping)} must set securityContext.capabilities.drop=["ALL"]` : undefined,
    adding(pod, (one) => one === 'NET_BIND_SERVICE'),
  ].filter((text) => text !== undefined);
  return details.length ? { reason: 'unrestricted capabilities', detail: details.join('; ') } : undefined;
};

const overrides = ['capabilities_baseline'];

/** Linux capabilities: the usual ones at most; at restricted none but one for low ports. */
export const capabilityChecks: readonly Check[] = [
  { id: 'capabilities_baseline', level: 'baseline', versions: [{ from: 0, check: baseline }] },
  {
    id: 'capabilities_restricted',
    level: 'restricted',
    versions: [
      { from: 22, check: restricted, overrides },
      { from: 25, check: unless(isWindows, restricted), overrides },
    ],
  },
];
