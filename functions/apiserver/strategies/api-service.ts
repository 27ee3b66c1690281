// APIServices: the group versions that the server offers itself, and those that another one would.
import { timestamp } from '../../clock/clock.ts';
import type { APIService } from '../../machinery/kinds.d.ts';
import { cause } from '../../machinery/status.ts';
import type { Strategy } from '../registry.ts';
import { at, type Causes, checkSubdomain, invalidEach, oneOf, required } from './checks.ts';
import { dns1035Label } from './names.ts';

/** The condition of a group version that this server answers for. `now` is milliseconds since the epoch. */
export const localCondition = (now: number) => ({
  type: 'Available',
  status: 'True',
  lastTransitionTime: timestamp(now),
  reason: 'Local',
  message: 'Local APIServices are always available',
});

const PRIORITIES = [
  ['groupPriorityMinimum', 20000],
  ['versionPriority', 1000],
] as const;

const checkService = (out: Causes, spec: NonNullable<APIService['spec']>): void => {
  const { service, caBundle, insecureSkipTLSVerify: insecure } = spec;
  if (!service) {
    if (caBundle) out.push(cause.invalid('spec.caBundle', '', 'local APIServices may not have a caBundle'));
    const detail = 'local APIServices may not have insecureSkipTLSVerify';
    if (insecure) out.push(cause.invalid('spec.insecureSkipTLSVerify', insecure, detail));
    return;
  }
  required(out, 'spec.service.namespace', service.namespace);
  required(out, 'spec.service.name', service.name);
  const port = service.port ?? 0;
  if (port < 1 || port > 65535)
    out.push(cause.invalid('spec.service.port', port, 'port is not valid: must be between 1 and 65535, inclusive'));
  if (insecure && caBundle) {
    out.push(cause.invalid('spec.insecureSkipTLSVerify', insecure, 'may not be true if caBundle is present'));
  }
};

const check = (object: Parameters<NonNullable<Strategy['validate']>>[0]): Causes => {
  const out: Causes = [];
  const { spec, metadata } = object as APIService;
  const { group = '', version = '' } = spec ?? {};
  if (metadata.name !== `${version}.${group}`) {
    const detail = `must be \`spec.version+"."+spec.group\`: "${version}.${group}"`;
    out.push(cause.invalid('metadata.name', metadata.name, detail));
  }
  if (group) checkSubdomain(out, 'spec.group', group);
  else if (version !== 'v1')
    out.push(cause.required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  invalidEach(out, 'spec.version', version, dns1035Label(version));
  for (const [field, most] of PRIORITIES) {
    const value = spec?.[field] ?? 0;
    if (value > 0 && value <= most) continue;
    out.push(cause.invalid(`spec.${field}`, value, `must be positive and less than ${most}`));
  }
  if (spec) checkService(out, spec);
  return out;
};

export const apiServiceStrategy: Strategy = {
  // The name follows from the spec, whatever characters it has.
  validateName: () => [],
  prepareForCreate: (object, ctx) => {
    const service = object as APIService;
    if (!service.spec?.service) service.status = { conditions: [localCondition(ctx.now)] };
  },
  validate: check,
  // Upstream's rules of an update hold those of the state, which it has checked before.
  validateUpdate: check,
  validateStatusUpdate: (next) => {
    const out: Causes = [];
    (next as APIService).status?.conditions?.forEach((condition, i) => {
      oneOf(out, `${at('status.conditions', i)}.status`, condition.status, ['True', 'False', 'Unknown']);
    });
    return out;
  },
};
