// What a pod's resize and ephemeralcontainers endpoints refuse. KEP-1287, KEP-277.
import type { Container, Pod } from '../../machinery/kinds.d.ts';
import { equalJson } from '../../machinery/patch/equal.ts';
import { type Cause, cause } from '../../machinery/status.ts';
import type { AnyObject } from '../context.ts';
import { qosClass } from '../strategies/pod/strategy.ts';

const resizable = new Set(['cpu', 'memory']);

const resizeOf = (after: Container, before: Container, at: string): Cause[] => {
  const out: Cause[] = [];
  for (const part of ['requests', 'limits'] as const) {
    const [old, next] = [before.resources?.[part] ?? {}, after.resources?.[part] ?? {}];
    for (const name of new Set([...Object.keys(old), ...Object.keys(next)])) {
      const where = `${at}.resources.${part}`;
      if (old[name] === next[name]) continue;
      if (!resizable.has(name)) out.push(cause.forbidden(where, 'only cpu and memory resources are mutable'));
      else if (next[name] === undefined) out.push(cause.forbidden(where, `resource ${part} cannot be removed`));
    }
  }
  return out;
};

const resizeCauses = (next: Pod, old: Pod): Cause[] => {
  const out: Cause[] = [];
  for (const list of ['containers', 'initContainers'] as const)
    for (const [i, container] of (next.spec?.[list] ?? []).entries()) {
      const before = old.spec?.[list]?.[i];
      if (before) out.push(...resizeOf(container, before, `spec.${list}[${i}]`));
    }
  if (next.spec && old.spec && qosClass(next.spec) !== qosClass(old.spec))
    out.push(cause.invalid('spec', qosClass(next.spec), 'Pod QOS Class may not change as a result of resizing'));
  return out;
};

const ephemeralCauses = (next: Pod, old: Pod): Cause[] => {
  const given = new Map((next.spec?.ephemeralContainers ?? []).map((c) => [c.name, c]));
  return (old.spec?.ephemeralContainers ?? []).flatMap((container) => {
    const now = given.get(container.name);
    const name = JSON.stringify(container.name);
    if (!now)
      return [cause.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be removed`)];
    if (equalJson(now as never, container as never)) return [];
    return [cause.forbidden('spec.ephemeralContainers', `existing ephemeral containers ${name} may not be changed`)];
  });
};

/** Causes beyond the pod's own validity, which holds for these endpoints too. */
export const podChangeCauses = (
  subresource: 'resize' | 'ephemeralcontainers',
  next: AnyObject,
  old: AnyObject,
): Cause[] => {
  const [after, before] = [next as unknown as Pod, old as unknown as Pod];
  return subresource === 'resize' ? resizeCauses(after, before) : ephemeralCauses(after, before);
};
