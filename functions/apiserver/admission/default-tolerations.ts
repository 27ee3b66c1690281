import type { Toleration } from '../../machinery/kinds.d.ts';
import type { AdmissionPlugin } from './admission.ts';
import { isAbout } from './request-type.ts';

const tolerated = (tolerations: readonly Toleration[], key: string): boolean =>
  tolerations.some((t) => (t.key === key || !t.key) && (!t.effect || t.effect === 'NoExecute'));

/** Pods tolerate an unready or unreachable node for five minutes unless they say otherwise. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  about: ['/pods'],
  admit: (request) => {
    const { operation, subresource, object } = request;
    const spec = object?.spec as { tolerations?: Toleration[] } | undefined;
    if (subresource !== '' || !spec || !isAbout(request, '/pods')) return;
    if (operation !== 'CREATE' && operation !== 'UPDATE') return;
    const given = spec.tolerations ?? [];
    const added = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
      .filter((key) => !tolerated(given, key))
      .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }) as const);
    if (added.length > 0) spec.tolerations = [...given, ...added];
  },
};
