import type { SELinuxOptions } from '../../../machinery/kinds.d.ts';
import {
  type Check,
  type CheckedPod,
  type CheckPod,
  containersOf,
  named,
  plural,
  quoted,
  settersText,
  sorted,
} from './check.ts';

const seLinux =
  (allowed: readonly string[]): CheckPod =>
  (pod: CheckedPod) => {
    const fits = (type = ''): boolean => type === '' || allowed.includes(type);
    const isOdd = (options: SELinuxOptions | undefined): boolean =>
      options !== undefined && (!fits(options.type) || Boolean(options.user) || Boolean(options.role));
    const ofPod = pod.spec.securityContext?.seLinuxOptions;
    const setters = settersText(
      isOdd(ofPod),
      named(pod, ({ securityContext }) => isOdd(securityContext?.seLinuxOptions)),
    );
    if (setters === undefined) return undefined;
    const all = [ofPod, ...containersOf(pod).map((one) => one.securityContext?.seLinuxOptions)];
    const types = sorted(all.map((one) => one?.type ?? '').filter((type) => !fits(type)));
    const faults = types.length ? [`${plural(types.length, 'type')} ${quoted(types)}`] : [];
    if (all.some((one) => one?.user)) faults.push('user may not be set');
    if (all.some((one) => one?.role)) faults.push('role may not be set');
    return {
      reason: 'seLinuxOptions',
      detail: `${setters} set forbidden securityContext.seLinuxOptions: ${faults.join('; ')}`,
    };
  };

const types = ['container_t', 'container_init_t', 'container_kvm_t'];

/** SELinux labels: types for containers only, and no user or role. */
export const seLinuxChecks: readonly Check[] = [
  {
    id: 'seLinuxOptions',
    level: 'baseline',
    versions: [
      { from: 0, check: seLinux(types) },
      { from: 31, check: seLinux([...types, 'container_engine_t']) },
    ],
  },
];
